/* Runs a program and kills it, or a launcher that it starts, at one step of its work.
 *
 *   stepper LOG ROLE N before|after FOLDER[:FOLDER...] PROGRAM ARGUMENT...
 *
 * A step is a system call that others can see: it changes something below one of the folders, starts a
 * process, leaves a session, sends a signal, or writes into a pipe (an answer, or a command to a control
 * daemon). LOG gets a line for each, "ROLE N WHAT"; for the process that is killed "killed"; last, how the
 * program ended, "exit CODE" or "signal N". With N 0 nobody is killed.
 *
 * Roles are `main`, and `outer` and `inner` of `divvy mps-launch`. Other programs are let go where they begin:
 * they are not under test, and some of them stay.
 *
 * What is only asked again is no new step, so that the number of steps doesn't hang on how long something
 * takes: the same call as just before, and a question ("get_...") or a start of a process that was there
 * already since the last step of another kind. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TRACEES = 64, ASKED = 16, TEXT = 2 * PATH_MAX + 64 };

struct tracee {
  pid_t pid;
  const char *role; /* NULL between a fork and the program that follows: then nothing counts */
  int steps;
  int started;
  char last[TEXT];
  char asked[ASKED][TEXT];
  int askeds;
};

static struct tracee tracees[TRACEES];
static FILE *log_file;
static const char *wanted_role, *folders;
static int wanted_step, wanted_after;

static void fail(const char *what) {
  perror(what);
  exit(125);
}

static struct tracee *tracee(pid_t pid) {
  struct tracee *empty = NULL;
  for (int i = 0; i < TRACEES; i++) {
    if (tracees[i].pid == pid) return &tracees[i];
    if (!tracees[i].pid && !empty) empty = &tracees[i];
  }
  if (!empty) fail("too many processes");
  memset(empty, 0, sizeof *empty);
  empty->pid = pid;
  return empty;
}

/* Up to size - 1 bytes of a tracee's memory, with an end. */
static size_t text_at(pid_t pid, uint64_t address, char *into, size_t size) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/mem", pid);
  int memory = open(path, O_RDONLY | O_CLOEXEC);
  size_t have = 0;
  /* Page by page: the text may end before a page that isn't there. */
  while (memory >= 0 && have < size - 1 && !memchr(into, 0, have)) {
    size_t page = 4096 - (address + have) % 4096;
    size_t want = page < size - 1 - have ? page : size - 1 - have;
    ssize_t got = pread(memory, into + have, want, (off_t)(address + have));
    if (got <= 0) break;
    have += (size_t)got;
  }
  if (memory >= 0) close(memory);
  into[have] = 0;
  return have;
}

static void link_of(pid_t pid, const char *name, char *into, size_t size) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
  ssize_t length = readlink(path, into, size - 1);
  into[length < 0 ? 0 : length] = 0;
}

static void file_of(pid_t pid, int fd, char *into, size_t size) {
  char name[32];
  snprintf(name, sizeof name, "fd/%d", fd);
  link_of(pid, name, into, size);
}

static void path_of(pid_t pid, int folder, uint64_t address, char *into, size_t size) {
  char name[PATH_MAX], from[PATH_MAX];
  text_at(pid, address, name, sizeof name);
  if (name[0] == '/') {
    snprintf(into, size, "%s", name);
    return;
  }
  if (folder == AT_FDCWD) link_of(pid, "cwd", from, sizeof from);
  else file_of(pid, folder, from, sizeof from);
  if ((size_t)snprintf(into, size, "%s/%s", from, name) >= size) fail("a path is too long");
}

static int counts(const char *path) {
  char list[TEXT];
  snprintf(list, sizeof list, "%s", folders);
  /* The cgroup that all daemons share comes and goes with other daemons. */
  const char *name = strrchr(path, '/');
  if (!strncmp(path, "/sys/fs/cgroup/", 15) && name && !strcmp(name, "/divvy")) return 0;
  for (char *folder = strtok(list, ":"); folder; folder = strtok(NULL, ":")) {
    size_t length = strlen(folder);
    if (!strncmp(path, folder, length) && (path[length] == '/' || !path[length])) return 1;
  }
  return 0;
}

static int of_path(const char *what, pid_t pid, int folder, uint64_t address, char *step) {
  char path[PATH_MAX];
  path_of(pid, folder, address, path, sizeof path);
  snprintf(step, TEXT, "%s %s", what, path);
  return counts(path);
}

static int of_file(const char *what, pid_t pid, int fd, char *step) {
  char path[PATH_MAX];
  file_of(pid, fd, path, sizeof path);
  snprintf(step, TEXT, "%s %s", what, path);
  return counts(path);
}

static int of_write(pid_t pid, int fd, uint64_t address, uint64_t length, char *step) {
  char path[PATH_MAX], text[48];
  file_of(pid, fd, path, sizeof path);
  if (strncmp(path, "pipe:", 5)) return of_file("write", pid, fd, step);
  size_t have = text_at(pid, address, text, length < sizeof text ? length + 1 : sizeof text);
  for (size_t i = 0; i < have; i++) if (text[i] < ' ') text[i] = text[i] ? '.' : 0;
  snprintf(step, TEXT, "say %s", text);
  return text[0] && strcmp(text, ".");
}

/* Making what is there already changes nothing. */
static int of_new(const char *what, pid_t pid, int folder, uint64_t address, char *step) {
  char path[PATH_MAX];
  path_of(pid, folder, address, path, sizeof path);
  return of_path(what, pid, folder, address, step) && access(path, F_OK);
}

/* Whether a call is a step, and what it is called. */
static int is_step(pid_t pid, const struct __ptrace_syscall_info *call, char *step) {
  const uint64_t *a = call->entry.args;
  const int here = AT_FDCWD, first = (int)a[0];
  switch (call->entry.nr) {
#ifdef SYS_rename
    case SYS_rename: return of_path("rename", pid, here, a[1], step);
    case SYS_link: return of_path("link", pid, here, a[1], step);
    case SYS_unlink: return of_path("unlink", pid, here, a[0], step);
    case SYS_symlink: return of_path("symlink", pid, here, a[1], step);
    case SYS_mkdir: return of_new("mkdir", pid, here, a[0], step);
    case SYS_rmdir: return of_path("rmdir", pid, here, a[0], step);
    case SYS_mknod: return of_path("mknod", pid, here, a[0], step);
    case SYS_chmod: return of_path("chmod", pid, here, a[0], step);
    case SYS_open: return (a[1] & O_CREAT) && of_new("create", pid, here, a[0], step);
    case SYS_fork:
    case SYS_vfork: return snprintf(step, TEXT, "start a process");
#endif
#ifdef SYS_renameat
    case SYS_renameat: return of_path("rename", pid, (int)a[2], a[3], step);
#endif
    case SYS_renameat2: return of_path("rename", pid, (int)a[2], a[3], step);
    case SYS_linkat: return of_path("link", pid, (int)a[2], a[3], step);
    case SYS_unlinkat: return of_path("unlink", pid, first, a[1], step);
    case SYS_symlinkat: return of_path("symlink", pid, (int)a[1], a[2], step);
    case SYS_mkdirat: return of_new("mkdir", pid, first, a[1], step);
    case SYS_mknodat: return of_path("mknod", pid, first, a[1], step);
    case SYS_fchmodat: return of_path("chmod", pid, first, a[1], step);
    case SYS_openat: return (a[2] & O_CREAT) && of_new("create", pid, first, a[1], step);
    case SYS_fchmod: return of_file("chmod", pid, first, step);
    case SYS_ftruncate: return of_file("truncate", pid, first, step);
    case SYS_write: return of_write(pid, first, a[1], a[2], step);
    case SYS_clone:
    case SYS_clone3: return snprintf(step, TEXT, "start a process");
    case SYS_setsid: return snprintf(step, TEXT, "begin a session");
    case SYS_execve: return snprintf(step, TEXT, "become another program");
    case SYS_kill:
    case SYS_pidfd_send_signal: return snprintf(step, TEXT, "send signal %d", (int)a[1]);
    default: return 0;
  }
}

/* Whether it only asks again. */
static int again(struct tracee *t, const char *step) {
  if (!strcmp(step, t->last)) return 1;
  snprintf(t->last, sizeof t->last, "%s", step);
  int question = !strncmp(step, "say get_", 8) || !strcmp(step, "start a process");
  /* The lock of a daemon is taken for each question. */
  const char *name = strrchr(step, '/');
  question = question || (name && !strcmp(name, "/lock"));
  if (!question) {
    t->askeds = 0;
    return 0;
  }
  for (int i = 0; i < t->askeds; i++)
    if (!strcmp(t->asked[i], step)) return 1;
  if (t->askeds < ASKED) strcpy(t->asked[t->askeds++], step);
  return 0;
}

static void kill_it(pid_t pid) {
  fprintf(log_file, "killed\n");
  fflush(log_file);
  kill(pid, SIGKILL);
}

static void at_call(struct tracee *t) {
  struct __ptrace_syscall_info call;
  if (ptrace(PTRACE_GET_SYSCALL_INFO, t->pid, sizeof call, &call) <= 0) return;
  int wanted = !strcmp(t->role, wanted_role);
  if (call.op == PTRACE_SYSCALL_INFO_EXIT) {
    if (t->started && wanted && wanted_after && t->steps == wanted_step) kill_it(t->pid);
    t->started = 0;
    return;
  }
  char step[TEXT];
  if (call.op != PTRACE_SYSCALL_INFO_ENTRY || !is_step(t->pid, &call, step) || again(t, step)) return;
  t->steps++;
  t->started = 1;
  fprintf(log_file, "%s %d %s\n", t->role, t->steps, step);
  if (wanted && !wanted_after && t->steps == wanted_step) kill_it(t->pid);
}

/* What a process has become; one that is no launcher goes its own way. */
static int at_exec(struct tracee *t, pid_t first) {
  char path[64], line[512] = {0};
  snprintf(path, sizeof path, "/proc/%d/cmdline", t->pid);
  int file = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t length = read(file, line, sizeof line - 1);
  close(file);
  const char *words[3] = {line, "", ""};
  for (int i = 1; i < 3; i++) {
    const char *next = words[i - 1] + strlen(words[i - 1]) + 1;
    if (next < line + length) words[i] = next;
  }
  t->steps = t->askeds = t->started = 0;
  t->last[0] = 0;
  if (t->pid == first && !t->role) t->role = "main";
  else if (!strcmp(words[1], "mps-launch")) t->role = !strcmp(words[2], "outer") ? "outer" : "inner";
  else {
    ptrace(PTRACE_DETACH, t->pid, 0, 0);
    t->pid = 0;
    return 0;
  }
  return 1;
}

static int ended(int status) {
  if (WIFEXITED(status)) fprintf(log_file, "exit %d\n", WEXITSTATUS(status));
  else fprintf(log_file, "signal %d\n", WTERMSIG(status));
  fclose(log_file);
  /* What is still traced goes on by itself. */
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv) {
  if (argc < 7 || !(log_file = fopen(argv[1], "we"))) return 125;
  wanted_role = argv[2];
  wanted_step = atoi(argv[3]);
  wanted_after = !strcmp(argv[4], "after");
  folders = argv[5];
  pid_t first = fork();
  if (first < 0) fail("fork");
  if (first == 0) {
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
    execv(argv[6], argv + 6);
    fail(argv[6]);
  }
  int status;
  if (waitpid(first, &status, __WALL) < 0) fail("waitpid");
  long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC;
  if (ptrace(PTRACE_SETOPTIONS, first, 0, options) < 0) fail("ptrace");
  tracee(first);
  ptrace(PTRACE_SYSCALL, first, 0, 0);
  for (;;) {
    pid_t pid = waitpid(-1, &status, __WALL);
    if (pid < 0 && errno == EINTR) continue;
    if (pid < 0) fail("waitpid");
    if (!WIFSTOPPED(status)) {
      if (pid == first) return ended(status);
      tracee(pid)->pid = 0;
      continue;
    }
    struct tracee *t = tracee(pid);
    int signal = WSTOPSIG(status), event = status >> 16;
    if (signal == (SIGTRAP | 0x80)) {
      if (t->role) at_call(t);
      signal = 0;
    } else if (event == PTRACE_EVENT_EXEC) {
      if (!at_exec(t, first)) continue;
      signal = 0;
    } else if (event || signal == SIGSTOP) {
      signal = 0;
    }
    ptrace(PTRACE_SYSCALL, pid, 0, signal);
  }
}
