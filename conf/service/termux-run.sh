#!@prefix@/bin/sh
# Written by `lswarm service install`; the next install replaces it.
exec 2>&1
@environment@
exec @command@
