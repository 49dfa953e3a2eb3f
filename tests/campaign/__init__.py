"""`make campaign`: what is made under kills, full disks and dead servers, held against what is made without them."""
