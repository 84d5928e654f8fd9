-- Changes nothing: the start of the script has compared what the caller was answered before.
return { OK, 0, 0 }
