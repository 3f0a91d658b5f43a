#!@prefix@/bin/sh
# Run by runsv when the swarm has ended; $1 is its exit code. What no new start can heal (usage,
# settings, engine, memory) is left down; anything else is started again after a pause.
case "$1" in
  2|3|4|6) exec sv down "$PWD" ;;
  0|130) ;;
  *) sleep 10 ;;
esac
