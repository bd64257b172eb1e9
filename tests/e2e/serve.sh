# Runs, one after the other, the scripts whose numbers come on stdin, and says each number when it is done.
# The first process of a bed that a test holds: it ends, and the bed with it, when the test does.
# shellcheck shell=bash
while read -r number; do
  timeout --kill-after=5 120 bash "/bed/$number.sh" >"/bed/$number.out" 2>"/bed/$number.err" </dev/null
  printf '%s' $? >"/bed/$number.code"
  printf '%s\n' "$number"
done
