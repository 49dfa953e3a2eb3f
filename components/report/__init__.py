"""The experiment's results to read: leaderboard, plots, and one self-contained HTML page."""
