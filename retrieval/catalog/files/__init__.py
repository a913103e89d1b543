"""Which file is which track: by key, by place, and by what is heard; and which files are not there any more."""
