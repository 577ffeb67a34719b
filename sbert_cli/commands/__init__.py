"""One file a verb: settings in, engine calls, report out."""
