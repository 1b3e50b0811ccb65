//@ static: -static
// Mounts, old and new calls, in a mount namespace of its own: made, moved, changed, listed, a new root. Without the right
// to have one there is nothing to see.
#define _GNU_SOURCE
#include "calls.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// Older headers do not have these.
#undef SYS_open_tree
#undef SYS_move_mount
#undef SYS_fsopen
#undef SYS_fsconfig
#undef SYS_fsmount
#undef SYS_fspick
#undef SYS_mount_setattr
#undef SYS_statmount
#undef SYS_listmount
#undef SYS_open_tree_attr
#undef SYS_listns
enum { SYS_open_tree = 428, SYS_move_mount, SYS_fsopen, SYS_fsconfig, SYS_fsmount, SYS_fspick, SYS_mount_setattr = 442 };
enum { SYS_statmount = 457, SYS_listmount, SYS_open_tree_attr = 467, SYS_listns = 470 };

static void touch(const char *path) { close(open(path, O_CREAT | O_WRONLY, 0644)); }

static void old_calls(void) {
    TRY(CALL(mount, "none", "a", "tmpfs", MS_NOSUID, "size=64k"));
    touch("a/inside");
    TRY(CALL(mount, "a", "b", 0, MS_BIND, 0));
    TRY(access("b/inside", F_OK));
    TRY(CALL(mount, 0, "b", 0, MS_REMOUNT | MS_BIND | MS_RDONLY, 0));
    TRY(open("b/more", O_CREAT | O_WRONLY, 0600));
    TRY(CALL(mount, "none", "a", "nosuchfs", 0, 0));
    TRY(CALL(mount, "none", "missing", "tmpfs", 0, 0));
    TRY(CALL(umount2, "b", UMOUNT_NOFOLLOW));
    TRY(CALL(umount2, "b", 0));
    TRY(CALL(umount2, "a", MNT_DETACH));
    TRY(access("a/inside", F_OK));
    TRY(CALL(swapon, "missing", 0));
    TRY(CALL(swapoff, "missing"));
    TRY(CALL(acct, "missing"));
    TRY(CALL(quotactl, 0x800002 << 8, "missing", 0, 0));
}

static void new_calls(void) {
    int system, mount, tree;
    MAKE(system, CALL(fsopen, "tmpfs", 1));
    // FSCONFIG_SET_STRING, FSCONFIG_CMD_CREATE.
    TRY(CALL(fsconfig, system, 1, "size", "128k", 0));
    TRY(CALL(fsconfig, system, 1, "no-such-key", "x", 0));
    TRY(CALL(fsconfig, system, 6, 0, 0, 0));
    MAKE(mount, CALL(fsmount, system, 1, 0));
    TRY(CALL(move_mount, mount, "", AT_FDCWD, "a", 4 /* MOVE_MOUNT_F_EMPTY_PATH */));
    touch("a/new");
    // OPEN_TREE_CLONE.
    MAKE(tree, CALL(open_tree, AT_FDCWD, "a", 1 | O_CLOEXEC));
    TRY(CALL(move_mount, tree, "", AT_FDCWD, "b", 4));
    TRY(access("b/new", F_OK));
    struct { uint64_t set, clear, propagation, user; } attributes = {1 /* MOUNT_ATTR_RDONLY */};
    TRY(CALL(mount_setattr, AT_FDCWD, "b", 0, &attributes, sizeof attributes));
    TRY(open("b/more", O_CREAT | O_WRONLY, 0600));
    TRY(CALL(mount_setattr, AT_FDCWD, "missing", 0, &attributes, sizeof attributes));
    int changed = CALL(open_tree_attr, AT_FDCWD, "a", 1 | O_CLOEXEC, &attributes, sizeof attributes);
    printf("tree with attributes %s\n", changed >= 0 ? "made" : strerrorname_np(errno));
    if (changed >= 0) TRY(openat(changed, "more", O_CREAT | O_WRONLY, 0600));
    int picked;
    MAKE(picked, CALL(fspick, AT_FDCWD, "a", 0));
    TRY(CALL(fsconfig, picked, 1, "size", "256k", 0));
    TRY(CALL(fsconfig, picked, 7, 0, 0, 0));
    MAKE(picked, CALL(fspick, AT_FDCWD, "missing", 0));
    MAKE(system, CALL(fsopen, "nosuchfs", 0));
    // STATX_MNT_ID_UNIQUE; STATMOUNT_SB_BASIC.
    struct statx status;
    TRY(statx(AT_FDCWD, "b", 0, 0x4000, &status));
    uint64_t unique;
    memcpy(&unique, (char *)&status + 0x90, 8);
    struct { uint32_t size, spare; uint64_t id, param, namespace; } request = {24, 0, unique, 1};
    uint64_t told[64] = {0}, ids[8];
    TRY(CALL(statmount, &request, told, sizeof told, 0));
    // sb_magic of tmpfs.
    printf("%llx\n", (unsigned long long)told[3]);
    request.param = 0;
    TRY(CALL(listmount, &request, ids, 8, 0));
    request.id = 1;
    TRY(CALL(statmount, &request, told, sizeof told, 0));
    errno = 0;
    CALL(listns, 0, 0, 0, 0);
    printf("listns %s\n", strerrorname_np(errno));
    TRY(umount("b"));
}

static void roots(void) {
    mkdir("a/old", 0700);
    touch("a/here");
    TRY(CALL(pivot_root, "a", "missing"));
    TRY(CALL(pivot_root, "a", "a/old"));
    TRY(chdir("/"));
    TRY(access("/here", F_OK));
    TRY(access("/old/proc", F_OK));
    mkdir("/sub", 0700);
    touch("/sub/deep");
    TRY(CALL(chroot, "/here"));
    TRY(CALL(chroot, "/sub"));
    TRY(access("/deep", F_OK));
    TRY(access("/here", F_OK));
}

int main(void) {
    char directory[] = "/tmp/mountcalls-XXXXXX";
    setvbuf(stdout, 0, _IONBF, 0);
    if (!mkdtemp(directory) || chdir(directory)) return 2;
    mkdir("a", 0700), mkdir("b", 0700);
    pid_t child = fork();
    if (!child) {
        if (unshare(CLONE_NEWNS) || mount(0, "/", 0, MS_REC | MS_PRIVATE, 0)) return puts("not permitted"), 0;
        // The new root is to be on a mount of its own.
        old_calls();
        new_calls();
        roots();
        return 0;
    }
    int status;
    waitpid(child, &status, 0);
    printf("ended %x\n", status);
    rmdir("a"), rmdir("b");
    return rmdir(directory);
}
