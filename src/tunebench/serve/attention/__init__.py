"""What a finished run looks at: attention maps over a text's tokens, tuned beside untuned."""
