# Shared by the scripts that look at a real GPU.
# shellcheck shell=bash disable=SC2154 # whoever sources it has a folder $work
passed=0 failed=0

smi() { nvidia-smi --query-gpu="$1" --format=csv,noheader; }

# needs_gpu STRICT: ends the script, as skipped, where there is no GPU.
needs_gpu() {
  nvidia-smi -L >/dev/null 2>&1 || skip "$1" "no GPU on this machine"
}
# skip STRICT WHY
skip() {
  echo "skipped: $2"
  exit $(($1 ? 77 : 0))
}

# about DIVVY: what everything below was seen on.
about() {
  echo "driver $(smi driver_version | head -n 1), $(smi name | sort | uniq -c | awk '{$1 = $1 "x"; print}' | paste -sd, -), kernel $(uname -r), $("$1" --version)"
}

# check SENTENCE cmd...: the sentence; where cmd fails, what it says and what was seen last ($work/seen).
check() {
  local sentence=$1
  shift
  if "$@" >"$work/why" 2>&1; then echo "ok      $sentence"; passed=$((passed + 1))
  else echo "FAILED  $sentence"; sed 's/^/        /' "$work/why" "$work/seen" 2>/dev/null; failed=$((failed + 1)); fi
}
told() {
  echo "$passed passed, $failed failed"
  [ "$failed" = 0 ]
}
