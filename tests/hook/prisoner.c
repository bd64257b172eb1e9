// Stands for an ldconfig that an image's libraries have taken over: tells what it could do.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

extern char **environ;

static void tell(const char *what, int result) {
    printf("%s: %s\n", what, result < 0 ? strerror(errno) : "yes");
}

// A capability is asked for by number: the headers of libcap may not be installed.
static unsigned long capabilities(void) {
    struct { unsigned version; int pid; } header = {0x20080522, 0};
    struct { unsigned effective, permitted, inheritable; } data[2];
    if (syscall(SYS_capget, &header, data) < 0) return ~0ul;
    return ((unsigned long)data[1].permitted << 32) | data[0].permitted;
}

int main(int argc, char **argv) {
    int files = 0;
    struct stat here, above;
    for (int i = 1; i < argc; i++) printf("argument %s\n", argv[i]);
    printf("variables: %s\n", environ[0] ? environ[0] : "none");
    for (int fd = 3; fd < 1024; fd++) files += fcntl(fd, F_GETFD) >= 0;
    printf("files: %d\n", files);
    printf("capabilities: %lx\n", capabilities());
    tell("write to its directory", open("ld.so.cache~", O_CREAT | O_WRONLY, 0644));
    tell("write elsewhere", open("/etc/elsewhere", O_CREAT | O_WRONLY, 0644));
    tell("write to /usr", open("/usr/elsewhere", O_CREAT | O_WRONLY, 0644));
    tell("reach the host through proc", open("/proc/1/root/etc/passwd", O_RDONLY));
    tell("reach the host through its own root", open("/proc/self/root/etc/passwd", O_RDONLY));
    tell("read a device node", open("/zero", O_RDONLY));
    stat(".", &here);
    stat("../../../..", &above);
    printf("climb: %s\n", here.st_ino == above.st_ino && here.st_dev == above.st_dev ? "no" : "yes");
    tell("make a node", mknod("node", S_IFCHR | 0600, 1 << 8 | 5));
    tell("change the host's name", syscall(SYS_sethostname, "x", 1));
    tell("mount", syscall(SYS_mount, "x", "/", "tmpfs", 0, 0));
    tell("change its root", chroot("."));
    return 7;
}
