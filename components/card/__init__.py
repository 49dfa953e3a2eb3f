"""The model card of an encoder, README.md of the folder that is handed on, and sending both to a hub."""
