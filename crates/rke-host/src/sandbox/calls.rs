//! The system calls that a program may no longer make once it has started. It is a list of what is refused, not of what is
//! allowed: which calls a C library makes changes with its version, and what these programs never need does not. Calls
//! that are newer than the list are refused too, as a kernel does that does not know them.
//!
//! The kernel knows of a filter that looks at the number only which calls it always lets pass, and passes those by
//! without running it (since Linux 5.11). So the order of the list costs nothing, and calls that are told apart by their
//! arguments are few and rare.

use std::collections::BTreeMap;

use libc::{EAFNOSUPPORT, ENOSYS, EPERM, c_long};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter_all_threads, sock_filter,
};

use super::{SECCOMP, SandboxError};

/// What no bug of these programs does, but somebody who has taken one over: to run another program, to get at other
/// processes and at the kernel, to change what the machine is. It ends the process.
const ENDS_THE_PROCESS: &[c_long] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_chroot,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_open_by_handle_at,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_reboot,
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_kexec_file_load,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
];

/// What a library may try, and goes on without: other users, owners and modes of files, which Landlock does not look at,
/// clocks, priorities, and new processes.
const NOT_PERMITTED: &[c_long] = &[
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    libc::SYS_setgroups,
    libc::SYS_capset,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchmodat2,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    libc::SYS_utimensat,
    libc::SYS_mknodat,
    libc::SYS_name_to_handle_at,
    libc::SYS_fanotify_init,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_syslog,
    libc::SYS_vhangup,
    libc::SYS_personality,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_setpriority,
    libc::SYS_ioprio_set,
    libc::SYS_sched_setscheduler,
    libc::SYS_sched_setparam,
    libc::SYS_sched_setattr,
    libc::SYS_migrate_pages,
    libc::SYS_move_pages,
    libc::SYS_process_madvise,
    libc::SYS_setrlimit,
    libc::SYS_tkill,
    libc::SYS_pidfd_send_signal,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_fork,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_vfork,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chmod,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lchown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_mknod,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_utime,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_utimes,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_futimesat,
];

/// What older kernels do not have, so that programs go on without: a filter cannot see what these calls are to do.
/// Threads are started by `clone` then.
const UNKNOWN: &[c_long] =
    &[libc::SYS_clone3, libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register];

/// The newest call that this list has been made with. `mseal` is of Linux 6.10; since 5.1 all architectures have the same
/// numbers for new calls. Those of the x32 ABI are all higher.
const NEWEST: u32 = libc::SYS_mseal as u32;

/// Has the kernel refuse these calls to all threads of this process.
///
/// # Errors
/// [`SandboxError::Calls`]; some calls may be refused then.
pub fn limit_calls() -> Result<(), SandboxError> {
    for program in programs()? {
        apply_filter_all_threads(&program).map_err(failed)?;
    }
    let _ = SECCOMP.set(());
    Ok(())
}

fn failed(error: impl std::fmt::Display) -> SandboxError {
    SandboxError::Calls(error.to_string())
}

/// One filter for each way to refuse. The kernel asks all, and does the worst that one of them says. The first that is
/// installed does not keep the others out: `seccomp` and `prctl` stay allowed for what takes rights away.
fn programs() -> Result<Vec<BpfProgram>, SandboxError> {
    let kill = SeccompAction::KillProcess;
    let errno = |errno: i32| SeccompAction::Errno(errno.unsigned_abs());
    Ok(vec![
        program(always(UNKNOWN), errno(ENOSYS))?,
        newer_than_the_list(),
        program(foreign_sockets()?, errno(EAFNOSUPPORT))?,
        not_permitted()?,
        program(always(ENDS_THE_PROCESS).chain(memory_of_others()?), kill)?,
    ])
}

type Rules = Vec<SeccompRule>;

fn program(
    rules: impl IntoIterator<Item = (c_long, Rules)>,
    refusal: SeccompAction,
) -> Result<BpfProgram, SandboxError> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(failed)?;
    let rules: BTreeMap<c_long, Rules> = rules.into_iter().collect();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refusal, arch).map_err(failed)?;
    filter.try_into().map_err(failed)
}

/// Calls that are refused whatever their arguments are.
fn always(calls: &[c_long]) -> impl Iterator<Item = (c_long, Rules)> {
    calls.iter().map(|call| (*call, Vec::new()))
}

/// A call that is refused where all of these conditions hold of its arguments.
fn refused_where<const N: usize>(
    call: c_long,
    conditions: [(u8, SeccompCmpOp, u64); N],
) -> Result<(c_long, SeccompRule), SandboxError> {
    let condition = |(argument, operator, value)| {
        // What the kernel takes as `int` may have anything in its upper half.
        let len = match call {
            libc::SYS_prlimit64 | libc::SYS_clone => SeccompCmpArgLen::Qword,
            _ => SeccompCmpArgLen::Dword,
        };
        SeccompCondition::new(argument, len, operator, value)
    };
    let conditions = conditions.into_iter().map(condition).collect::<Result<_, _>>().map_err(failed)?;
    Ok((call, SeccompRule::new(conditions).map_err(failed)?))
}

/// What a terminal takes for typed (`TIOCSTI`, and pasting by `TIOCLINUX`), and what gives it another line discipline: where
/// a program was started by hand, its shell would run what it types.
const TYPES_IN_A_TERMINAL: [libc::Ioctl; 3] = [libc::TIOCSTI, libc::TIOCLINUX, libc::TIOCSETD];

/// All that fails with "not permitted".
pub(super) fn not_permitted() -> Result<BpfProgram, SandboxError> {
    let rules = always(NOT_PERMITTED).chain(not_permitted_where()?);
    program(rules, SeccompAction::Errno(EPERM.unsigned_abs()))
}

/// New processes, signals to other processes, other limits, to be looked at again, and to type in a terminal.
fn not_permitted_where() -> Result<BTreeMap<c_long, Rules>, SandboxError> {
    use SeccompCmpOp::{Eq, MaskedEq, Ne};
    let own = u64::from(std::process::id());
    let mut refused: BTreeMap<c_long, Rules> = BTreeMap::new();
    for (call, rule) in [
        refused_where(libc::SYS_clone, [(0, MaskedEq(libc::CLONE_THREAD as u64), 0)])?,
        refused_where(libc::SYS_kill, [(0, Ne, own)])?,
        refused_where(libc::SYS_tgkill, [(0, Ne, own)])?,
        refused_where(libc::SYS_rt_sigqueueinfo, [(0, Ne, own)])?,
        refused_where(libc::SYS_rt_tgsigqueueinfo, [(0, Ne, own)])?,
        refused_where(libc::SYS_prlimit64, [(2, Ne, 0)])?,
        refused_where(libc::SYS_prctl, [(0, Eq, libc::PR_SET_DUMPABLE as u64)])?,
        refused_where(libc::SYS_prctl, [(0, Eq, libc::PR_SET_PTRACER as u64)])?,
    ] {
        refused.entry(call).or_default().push(rule);
    }
    for request in TYPES_IN_A_TERMINAL {
        let (call, rule) = refused_where(libc::SYS_ioctl, [(1, Eq, u64::from(request as u32))])?;
        refused.entry(call).or_default().push(rule);
    }
    Ok(refused)
}

/// Reading memory through the kernel. The memory scan does so with the process's own.
fn memory_of_others() -> Result<Option<(c_long, Rules)>, SandboxError> {
    let own = u64::from(std::process::id());
    let (call, rule) = refused_where(libc::SYS_process_vm_readv, [(0, SeccompCmpOp::Ne, own)])?;
    Ok(Some((call, vec![rule])))
}

/// Sockets of other families than those of the internet: the kernel's code for many of them has seen little use, and behind
/// unix sockets are programs that start others. A program has opened its own by now. What it still makes are pairs, of the
/// kinds that cannot be connected to somebody else instead.
fn foreign_sockets() -> Result<BTreeMap<c_long, Rules>, SandboxError> {
    use SeccompCmpOp::{MaskedEq, Ne};
    const KIND: u64 = 0xF;
    let kind = |kind: libc::c_int| [(1, MaskedEq(KIND), kind as u64)];
    let mut refused: BTreeMap<c_long, Rules> = BTreeMap::new();
    for (call, rule) in [
        refused_where(
            libc::SYS_socket,
            [libc::AF_INET, libc::AF_INET6].map(|family| (0, Ne, family as u64)),
        )?,
        refused_where(libc::SYS_socketpair, [(0, Ne, libc::AF_UNIX as u64)])?,
        refused_where(libc::SYS_socketpair, kind(libc::SOCK_DGRAM))?,
        refused_where(libc::SYS_socketpair, kind(libc::SOCK_RAW))?,
    ] {
        refused.entry(call).or_default().push(rule);
    }
    Ok(refused)
}

/// Calls with higher numbers than [`NEWEST`]. `seccompiler` compares numbers for equality only.
pub(super) fn newer_than_the_list() -> BpfProgram {
    let step = |code: u32, jt, jf, k| sock_filter { code: code as u16, jt, jf, k };
    let refusal = libc::SECCOMP_RET_ERRNO | ENOSYS.unsigned_abs();
    vec![
        // The number of the call is the first word of what a filter sees.
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K, 0, 1, NEWEST),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, refusal),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ]
}
