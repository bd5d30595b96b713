"""The system calls of x86-64 and what their arguments are, for a fuzzer: from the kernel's manual pages, not from
the sandbox's list, of which this harness knows nothing.

A letter an argument: f descriptor, p path, b buffer or structure, z size, g flags, i process, u user, s signal,
n small number or command, a address, t time, o offset, m mode, k id of an object.
"""

# Numbers of which there is none, or nobody knows the meaning, get arguments of every kind.
KINDS = "fpbzgiusnatomk"
LAST = 600  # the numbers that are tried are 0 to this; Linux 6.18 ends at 469

TABLE = """
0 read fbz; 1 write fbz; 2 open pgm; 3 close f; 4 stat pb; 5 fstat fb; 6 lstat pb; 7 poll bnn; 8 lseek fon
9 mmap azggfo; 10 mprotect azg; 11 munmap az; 12 brk a; 13 rt_sigaction sbbz; 14 rt_sigprocmask nbbz; 15 rt_sigreturn
16 ioctl fnb; 17 pread64 fbzo; 18 pwrite64 fbzo; 19 readv fbn; 20 writev fbn; 21 access pg; 22 pipe b; 23 select nbbbt
24 sched_yield; 25 mremap azzga; 26 msync azg; 27 mincore azb; 28 madvise azn; 29 shmget kzg; 30 shmat kag
31 shmctl knb; 32 dup f; 33 dup2 ff; 34 pause; 35 nanosleep tb; 36 getitimer nb; 37 alarm n; 38 setitimer nbb
39 getpid; 40 sendfile ffbz; 41 socket nnn; 42 connect fbz; 43 accept fbb; 44 sendto fbzgbz; 45 recvfrom fbzgbb
46 sendmsg fbg; 47 recvmsg fbg; 48 shutdown fn; 49 bind fbz; 50 listen fn; 51 getsockname fbb; 52 getpeername fbb
53 socketpair nnnb; 54 setsockopt fnnbz; 55 getsockopt fnnbb; 56 clone gbbbb; 57 fork; 58 vfork; 59 execve pbb
60 exit n; 61 wait4 ibgb; 62 kill is; 63 uname b; 64 semget kng; 65 semop kbz; 66 semctl knnb; 67 shmdt a
68 msgget kg; 69 msgsnd kbzg; 70 msgrcv kbzng; 71 msgctl knb; 72 fcntl fnb; 73 flock fn; 74 fsync f; 75 fdatasync f
76 truncate pz; 77 ftruncate fz; 78 getdents fbz; 79 getcwd bz; 80 chdir p; 81 fchdir f; 82 rename pp; 83 mkdir pm
84 rmdir p; 85 creat pm; 86 link pp; 87 unlink p; 88 symlink pp; 89 readlink pbz; 90 chmod pm; 91 fchmod fm
92 chown puu; 93 fchown fuu; 94 lchown puu; 95 umask m; 96 gettimeofday bb; 97 getrlimit nb; 98 getrusage nb
99 sysinfo b; 100 times b; 101 ptrace niab; 102 getuid; 103 syslog nbz; 104 getgid; 105 setuid u; 106 setgid u
107 geteuid; 108 getegid; 109 setpgid ii; 110 getppid; 111 getpgrp; 112 setsid; 113 setreuid uu; 114 setregid uu
115 getgroups nb; 116 setgroups nb; 117 setresuid uuu; 118 getresuid bbb; 119 setresgid uuu; 120 getresgid bbb
121 getpgid i; 122 setfsuid u; 123 setfsgid u; 124 getsid i; 125 capget bb; 126 capset bb; 127 rt_sigpending bz
128 rt_sigtimedwait bbtz; 129 rt_sigqueueinfo isb; 130 rt_sigsuspend bz; 131 sigaltstack bb; 132 utime pb
133 mknod pmk; 134 uselib p; 135 personality g; 136 ustat kb; 137 statfs pb; 138 fstatfs fb; 139 sysfs npb
140 getpriority ni; 141 setpriority nin; 142 sched_setparam ib; 143 sched_getparam ib; 144 sched_setscheduler inb
145 sched_getscheduler i; 146 sched_get_priority_max n; 147 sched_get_priority_min n; 148 sched_rr_get_interval ib
149 mlock az; 150 munlock az; 151 mlockall g; 152 munlockall; 153 vhangup; 154 modify_ldt nbz; 155 pivot_root pp
156 _sysctl b; 157 prctl nkbbb; 158 arch_prctl na; 159 adjtimex b; 160 setrlimit nb; 161 chroot p; 162 sync
163 acct p; 164 settimeofday bb; 165 mount pppgb; 166 umount2 pg; 167 swapon pg; 168 swapoff p; 169 reboot nnnb
170 sethostname bz; 171 setdomainname bz; 172 iopl n; 173 ioperm kzn; 174 create_module pz; 175 init_module bzp
176 delete_module pg; 177 get_kernel_syms b; 178 query_module pnbzb; 179 quotactl npkb; 180 nfsservctl nbb
181 getpmsg; 182 putpmsg; 183 afs_syscall; 184 tuxcall; 185 security; 186 gettid; 187 readahead foz
188 setxattr ppbzg; 189 lsetxattr ppbzg; 190 fsetxattr fpbzg; 191 getxattr ppbz; 192 lgetxattr ppbz
193 fgetxattr fpbz; 194 listxattr pbz; 195 llistxattr pbz; 196 flistxattr fbz; 197 removexattr pp; 198 lremovexattr pp
199 fremovexattr fp; 200 tkill is; 201 time b; 202 futex bnntbn; 203 sched_setaffinity izb; 204 sched_getaffinity izb
205 set_thread_area b; 206 io_setup nb; 207 io_destroy k; 208 io_getevents knnbt; 209 io_submit knb; 210 io_cancel kbb
211 get_thread_area b; 212 lookup_dcookie kbz; 213 epoll_create n; 214 epoll_ctl_old; 215 epoll_wait_old
216 remap_file_pages azgog; 217 getdents64 fbz; 218 set_tid_address b; 219 restart_syscall; 220 semtimedop kbzt
221 fadvise64 fozn; 222 timer_create nbb; 223 timer_settime kgbb; 224 timer_gettime kb; 225 timer_getoverrun k
226 timer_delete k; 227 clock_settime nt; 228 clock_gettime nb; 229 clock_getres nb; 230 clock_nanosleep ngtb
231 exit_group n; 232 epoll_wait fbnn; 233 epoll_ctl fnfb; 234 tgkill iis; 235 utimes pb; 236 vserver
237 mbind azngng; 238 set_mempolicy nbn; 239 get_mempolicy bbnag; 240 mq_open pgmb; 241 mq_unlink p
242 mq_timedsend fbznt; 243 mq_timedreceive fbzbt; 244 mq_notify fb; 245 mq_getsetattr fbb; 246 kexec_load bnbg
247 waitid nibgb; 248 add_key ppbzk; 249 request_key pppk; 250 keyctl nkkkk; 251 ioprio_set nin; 252 ioprio_get ni
253 inotify_init; 254 inotify_add_watch fpg; 255 inotify_rm_watch fn; 256 migrate_pages inbb; 257 openat fpgm
258 mkdirat fpm; 259 mknodat fpmk; 260 fchownat fpuug; 261 futimesat fpb; 262 newfstatat fpbg; 263 unlinkat fpg
264 renameat fpfp; 265 linkat fpfpg; 266 symlinkat pfp; 267 readlinkat fpbz; 268 fchmodat fpm; 269 faccessat fpg
270 pselect6 nbbbtb; 271 ppoll bntbz; 272 unshare g; 273 set_robust_list bz; 274 get_robust_list ibb; 275 splice fbfbzg
276 tee ffzg; 277 sync_file_range fozg; 278 vmsplice fbng; 279 move_pages inbbbg; 280 utimensat fpbg
281 epoll_pwait fbnnbz; 282 signalfd fbz; 283 timerfd_create ng; 284 eventfd n; 285 fallocate fgoz
286 timerfd_settime fgbb; 287 timerfd_gettime fb; 288 accept4 fbbg; 289 signalfd4 fbzg; 290 eventfd2 ng
291 epoll_create1 g; 292 dup3 ffg; 293 pipe2 bg; 294 inotify_init1 g; 295 preadv fbnoo; 296 pwritev fbnoo
297 rt_tgsigqueueinfo iisb; 298 perf_event_open binfg; 299 recvmmsg fbngt; 300 fanotify_init gg
301 fanotify_mark fggfp; 302 prlimit64 inbb; 303 name_to_handle_at fpbbg; 304 open_by_handle_at fbg
305 clock_adjtime nb; 306 syncfs f; 307 sendmmsg fbng; 308 setns fg; 309 getcpu bbb; 310 process_vm_readv ibnbng
311 process_vm_writev ibnbng; 312 kcmp iinkk; 313 finit_module fpg; 314 sched_setattr ibg; 315 sched_getattr ibzg
316 renameat2 fpfpg; 317 seccomp ngb; 318 getrandom bzg; 319 memfd_create pg; 320 kexec_file_load ffzpg; 321 bpf nbz
322 execveat fpbbg; 323 userfaultfd g; 324 membarrier ngn; 325 mlock2 azg; 326 copy_file_range fbfbzg
327 preadv2 fbnoog; 328 pwritev2 fbnoog; 329 pkey_mprotect azgn; 330 pkey_alloc gg; 331 pkey_free n; 332 statx fpggb
333 io_pgetevents knnbtb; 334 rseq bzgn; 335 uretprobe; 336 uprobe; 424 pidfd_send_signal fsbg
425 io_uring_setup nb; 426 io_uring_enter fnngbz; 427 io_uring_register fnbn; 428 open_tree fpg; 429 move_mount fpfpg
430 fsopen pg; 431 fsconfig fnpbn; 432 fsmount fgg; 433 fspick fpg; 434 pidfd_open ig; 435 clone3 bz
436 close_range ffg; 437 openat2 fpbz; 438 pidfd_getfd ffg; 439 faccessat2 fpgg; 440 process_madvise fbnng
441 epoll_pwait2 fbntbz; 442 mount_setattr fpgbz; 443 quotactl_fd fnkb; 444 landlock_create_ruleset bzg
445 landlock_add_rule fnbg; 446 landlock_restrict_self fg; 447 memfd_secret g; 448 process_mrelease fg
449 futex_waitv bngtn; 450 set_mempolicy_home_node azng; 451 cachestat fbbg; 452 fchmodat2 fpmg
453 map_shadow_stack azg; 454 futex_wake bgng; 455 futex_wait bgggtn; 456 futex_requeue bgnn; 457 statmount bbzg
458 listmount bbzg; 459 lsm_get_self_attr nbbg; 460 lsm_set_self_attr nbzg; 461 lsm_list_modules bbg; 462 mseal azg
463 setxattrat fpgpbz; 464 getxattrat fpgpbz; 465 listxattrat fpgbz; 466 removexattrat fpgp; 467 open_tree_attr fpgbz
468 file_getattr fpbzg; 469 file_setattr fpbzg
"""


def read_table():
    """{number: (name, kinds of its arguments)}"""
    found = {}
    for entry in TABLE.replace("\n", ";").split(";"):
        if entry.strip():
            number, name, *kinds = entry.split()
            found[int(number)] = name, kinds[0] if kinds else ""
    return found


CALLS = read_table()


def name_of(number):
    return CALLS[number][0] if number in CALLS else "-"
