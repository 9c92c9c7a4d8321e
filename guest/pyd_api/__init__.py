"""What both sides of the wire share: errors, references, ids, stream framing."""
