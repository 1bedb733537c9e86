"""What `automix report` says of one run or of several: from their numbers to a document."""
