"""The default seccomp profile as data: which calls a container may make, and on which condition.

The rules are those of Docker's current default profile (names and conditions are facts of the
kernel's and Docker's interface; the grouping is ours). What is not named here answers EPERM.

The 32-bit and x32 doors of the same kernel are open under the same rules, so names that only those
have are listed as well. ptrace(2) and its kin are free: they respect seccomp since Linux 4.8, and
the engine needs a newer kernel anyway.
"""

from typing import NamedTuple

# Calls that every container may make, grouped by what they work on.
FREE = {
    "descriptors": """
        close close_range dup dup2 dup3 fcntl fcntl64 flock ioctl lseek _llseek pipe pipe2 poll
        ppoll ppoll_time64 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readv select
        _newselect pselect6 pselect6_time64 sendfile sendfile64 splice tee vmsplice write writev
        copy_file_range epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2
        epoll_wait epoll_wait_old eventfd eventfd2 memfd_create memfd_secret readahead fadvise64
        fadvise64_64""",
    "files": """
        access creat faccessat faccessat2 fallocate fdatasync fsync ftruncate ftruncate64 open
        openat openat2 mknod mknodat name_to_handle_at sync sync_file_range syncfs truncate
        truncate64 umask""",
    "file names": """
        chdir fchdir getcwd getdents getdents64 link linkat mkdir mkdirat readlink readlinkat
        rename renameat renameat2 rmdir symlink symlinkat unlink unlinkat""",
    "file attributes": """
        cachestat chmod chown chown32 fchmod fchmodat fchmodat2 fchown fchown32 fchownat fgetxattr
        flistxattr fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 futimesat
        getxattr getxattrat lchown lchown32 lgetxattr listxattr listxattrat llistxattr lremovexattr
        lsetxattr lstat lstat64 newfstatat removexattr removexattrat setxattr setxattrat stat
        stat64 statfs statfs64 statx utime utimensat utimensat_time64 utimes""",
    "notification of files": """
        fanotify_mark inotify_add_watch inotify_init inotify_init1 inotify_rm_watch""",
    "mount listing": "listmount statmount",
    "asynchronous I/O": """
        io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit
        ioprio_get ioprio_set""",
    "sockets": """
        accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom
        recvmmsg recvmmsg_time64 recvmsg send sendmmsg sendmsg sendto setsockopt shutdown
        socketcall socketpair""",
    "memory": """
        brk madvise map_shadow_stack membarrier mincore mlock mlock2 mlockall mmap mmap2 mprotect
        mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect
        process_mrelease remap_file_pages""",
    "System V and POSIX IPC": """
        ipc mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend
        mq_timedsend_time64 mq_unlink msgctl msgget msgrcv msgsnd semctl semget semop semtimedop
        semtimedop_time64 shmat shmctl shmdt shmget""",
    "futexes and threads": """
        futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake get_robust_list
        get_thread_area gettid rseq set_robust_list set_thread_area set_tid_address""",
    "processes": """
        execve execveat exit exit_group fork getpgid getpgrp getpid getppid getsid kill pidfd_open
        pidfd_send_signal prctl process_vm_readv process_vm_writev ptrace setpgid setsid tgkill
        tkill vfork wait4 waitid waitpid""",
    "signals": """
        pause restart_syscall rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo
        rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo
        sigaltstack signalfd signalfd4 sigprocmask sigreturn""",
    "identity": """
        capget capset getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32
        getresgid getresgid32 getresuid getresuid32 getuid getuid32 setfsgid setfsgid32 setfsuid
        setfsuid32 setgid setgid32 setgroups setgroups32 setregid setregid32 setresgid setresgid32
        setresuid setresuid32 setreuid setreuid32 setuid setuid32""",
    "limits and scheduling": """
        getcpu getpriority getrlimit getrusage prlimit64 sched_get_priority_max
        sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler
        sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr
        sched_setparam sched_setscheduler sched_yield setpriority setrlimit ugetrlimit""",
    "time": """
        adjtimex alarm clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime
        clock_gettime64 clock_nanosleep clock_nanosleep_time64 getitimer gettimeofday nanosleep
        setitimer time timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64
        timer_settime timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64
        timerfd_settime timerfd_settime64 times""",
    "confinement by oneself": """
        landlock_add_rule landlock_create_ruleset landlock_restrict_self seccomp""",
    "the system": "getrandom riscv_hwprobe sysinfo uname uretprobe",
}

# Calls of one architecture.
FREE_ON = {
    "x86_64": "arch_prctl modify_ldt",
    "aarch64": """
        arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush set_tls sync_file_range2""",
}

# Calls that come with a capability of the container.
BY_CAPABILITY = {
    "CAP_SYS_ADMIN": """
        bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie
        lsm_get_self_attr lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount
        open_tree perf_event_open quotactl quotactl_fd setdomainname sethostname setns syslog
        umount umount2 unshare""",
    "CAP_BPF": "bpf",
    "CAP_DAC_READ_SEARCH": "open_by_handle_at",
    "CAP_PERFMON": "perf_event_open",
    "CAP_SYSLOG": "syslog",
    "CAP_SYS_BOOT": "reboot",
    "CAP_SYS_CHROOT": "chroot",
    "CAP_SYS_MODULE": "delete_module finit_module init_module",
    "CAP_SYS_NICE": "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
    "CAP_SYS_PACCT": "acct",
    "CAP_SYS_PTRACE": """
        kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace""",
    "CAP_SYS_RAWIO": "ioperm iopl",
    "CAP_SYS_TIME": "clock_settime clock_settime64 settimeofday stime",
    "CAP_SYS_TTY_CONFIG": "vhangup",
}


class Condition(NamedTuple):
    """The first argument, under a mask, has a value."""

    mask: int
    value: int


_INT = 0xFFFF_FFFF
_ANY = (1 << 64) - 1

PERSONALITIES = tuple(Condition(_ANY, value) for value in (0, 8, 0x20000, 0x20008, 0xFFFF_FFFF))

# Every family up to 63 but AF_ALG (38) and AF_VSOCK (40), in blocks of powers of two. The kernel
# looks at 32 bits of the argument only: a comparison of all 64 would let 1 << 32 | 40 through.
SOCKET_FAMILIES = (
    Condition(_INT & ~31, 0),
    Condition(_INT & ~3, 32),
    Condition(_INT & ~1, 36),
    Condition(_INT, 39),
    Condition(_INT, 41),
    Condition(_INT & ~1, 42),
    Condition(_INT & ~3, 44),
    Condition(_INT & ~15, 48),
)

# CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
CLONE_WITHOUT_NAMESPACES = Condition(0x7E020000, 0)

ARCHITECTURES = {
    "x86_64": ("SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"),
    "aarch64": ("SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"),
}

# Calls that an older libseccomp has no name for; from 403 on a number is the same everywhere.
NUMBERS = {
    "quotactl_fd": 443,
    "memfd_secret": 447,
    "process_mrelease": 448,
    "futex_waitv": 449,
    "set_mempolicy_home_node": 450,
    "cachestat": 451,
    "fchmodat2": 452,
    "map_shadow_stack": 453,
    "futex_wake": 454,
    "futex_wait": 455,
    "futex_requeue": 456,
    "statmount": 457,
    "listmount": 458,
    "lsm_get_self_attr": 459,
    "lsm_set_self_attr": 460,
    "lsm_list_modules": 461,
    "mseal": 462,
    "setxattrat": 463,
    "getxattrat": 464,
    "listxattrat": 465,
    "removexattrat": 466,
}
# A call newer than all of these does not exist as far as a container can tell: libraries fall back
# on ENOSYS and give up on EPERM.
NEWEST_NUMBER = 467
