"""What is looked at before a person has to: one function per check, in files by technology. Nothing is changed."""
