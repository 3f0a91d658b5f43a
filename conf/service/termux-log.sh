#!@prefix@/bin/sh
# Written by `lswarm service install`: keeps what the swarm says, rotated by svlogd.
mkdir -p @logs@
exec svlogd -tt @logs@
