//! The system calls that a program may no longer make once it has started. This is a deny list rather than an allow list,
//! because the calls that a C library makes change with its version, while the calls that these programs never need do
//! not. Calls that are newer than the list are refused too, as by a kernel that does not have them.
//!
//! If a filter checks only a call's number, the kernel knows which calls it always allows, and does not run it for those
//! (since Linux 5.11). So the order of the list costs nothing, and the calls that are checked by their arguments are few
//! and rare.

use std::collections::BTreeMap;

use libc::{EAFNOSUPPORT, ENOSYS, EPERM, c_long};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter_all_threads, sock_filter,
};

use super::{SECCOMP, SandboxError};

/// Calls that no bug of these programs makes, but an attacker who has taken one over does: to run another program, to
/// access other processes and the kernel, to reconfigure the machine. They end the process.
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

/// Calls that a library may try but does not need: other users, owners and modes of files, which Landlock does not check,
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

/// Calls that older kernels do not have, so that programs work without them: a filter cannot check their arguments.
/// Without `clone3`, threads are started by `clone`.
const UNKNOWN: &[c_long] =
    &[libc::SYS_clone3, libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register];

/// The newest call that this list covers. `mseal` is of Linux 6.10; since 5.1 all architectures have the same
/// numbers for new calls. Those of the x32 ABI are all higher.
const NEWEST: u32 = libc::SYS_mseal as u32;

/// Makes the kernel refuse these calls in all threads of this process.
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

/// One filter for each kind of refusal. The kernel runs all of them and applies the strictest result. The first filter does
/// not prevent installing the others: `seccomp` and `prctl` stay allowed for giving up rights.
fn programs() -> Result<Vec<BpfProgram>, SandboxError> {
    let kill = SeccompAction::KillProcess;
    let errno = |errno: i32| SeccompAction::Errno(errno.unsigned_abs());
    Ok(vec![
        program(with_any_arguments(UNKNOWN), errno(ENOSYS))?,
        newer_calls(),
        program(other_socket_families()?, errno(EAFNOSUPPORT))?,
        not_permitted()?,
        program(with_any_arguments(ENDS_THE_PROCESS).chain(other_process_memory()?), kill)?,
    ])
}

type SeccompRules = Vec<SeccompRule>;

fn program(
    rules: impl IntoIterator<Item = (c_long, SeccompRules)>,
    refusal: SeccompAction,
) -> Result<BpfProgram, SandboxError> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(failed)?;
    let rules: BTreeMap<c_long, SeccompRules> = rules.into_iter().collect();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refusal, arch).map_err(failed)?;
    filter.try_into().map_err(failed)
}

/// Calls that are refused whatever their arguments are.
fn with_any_arguments(calls: &[c_long]) -> impl Iterator<Item = (c_long, SeccompRules)> {
    calls.iter().map(|call| (*call, Vec::new()))
}

/// A call that is refused if its arguments meet all of these conditions.
fn with_arguments<const N: usize>(
    call: c_long,
    conditions: [(u8, SeccompCmpOp, u64); N],
) -> Result<(c_long, SeccompRule), SandboxError> {
    let condition = |(argument, operator, value)| {
        // The upper half of an argument that the kernel takes as `int` is undefined.
        let len = match call {
            libc::SYS_prlimit64 | libc::SYS_clone => SeccompCmpArgLen::Qword,
            _ => SeccompCmpArgLen::Dword,
        };
        SeccompCondition::new(argument, len, operator, value)
    };
    let conditions = conditions.into_iter().map(condition).collect::<Result<_, _>>().map_err(failed)?;
    Ok((call, SeccompRule::new(conditions).map_err(failed)?))
}

/// Requests that type into a terminal (`TIOCSTI`, and pasting by `TIOCLINUX`) or change its line discipline: if the program
/// was started by hand, its shell would run what it types.
const TYPES_IN_A_TERMINAL: [libc::Ioctl; 3] = [libc::TIOCSTI, libc::TIOCLINUX, libc::TIOCSETD];

/// All calls that fail with "not permitted".
pub(super) fn not_permitted() -> Result<BpfProgram, SandboxError> {
    let rules = with_any_arguments(NOT_PERMITTED).chain(not_permitted_arguments()?);
    program(rules, SeccompAction::Errno(EPERM.unsigned_abs()))
}

/// New processes, signals to other processes, other limits, becoming dumpable again, and typing into a terminal.
fn not_permitted_arguments() -> Result<BTreeMap<c_long, SeccompRules>, SandboxError> {
    use SeccompCmpOp::{Eq, MaskedEq, Ne};
    let own = u64::from(std::process::id());
    let mut refused: BTreeMap<c_long, SeccompRules> = BTreeMap::new();
    for (call, rule) in [
        with_arguments(libc::SYS_clone, [(0, MaskedEq(libc::CLONE_THREAD as u64), 0)])?,
        with_arguments(libc::SYS_kill, [(0, Ne, own)])?,
        with_arguments(libc::SYS_tgkill, [(0, Ne, own)])?,
        with_arguments(libc::SYS_rt_sigqueueinfo, [(0, Ne, own)])?,
        with_arguments(libc::SYS_rt_tgsigqueueinfo, [(0, Ne, own)])?,
        with_arguments(libc::SYS_prlimit64, [(2, Ne, 0)])?,
        with_arguments(libc::SYS_prctl, [(0, Eq, libc::PR_SET_DUMPABLE as u64)])?,
        with_arguments(libc::SYS_prctl, [(0, Eq, libc::PR_SET_PTRACER as u64)])?,
    ] {
        refused.entry(call).or_default().push(rule);
    }
    for request in TYPES_IN_A_TERMINAL {
        let (call, rule) = with_arguments(libc::SYS_ioctl, [(1, Eq, u64::from(request as u32))])?;
        refused.entry(call).or_default().push(rule);
    }
    Ok(refused)
}

/// Reading the memory of other processes through the kernel. The memory scan reads the process's own that way.
fn other_process_memory() -> Result<Option<(c_long, SeccompRules)>, SandboxError> {
    let own = u64::from(std::process::id());
    let (call, rule) = with_arguments(libc::SYS_process_vm_readv, [(0, SeccompCmpOp::Ne, own)])?;
    Ok(Some((call, vec![rule])))
}

/// Sockets of families other than the internet's: the kernel's code for many of them is little used, and unix sockets lead
/// to programs that start others. A running program has already opened its own. It still makes connected pairs, of the
/// kinds that cannot be reconnected to another peer.
fn other_socket_families() -> Result<BTreeMap<c_long, SeccompRules>, SandboxError> {
    use SeccompCmpOp::{MaskedEq, Ne};
    const KIND: u64 = 0xF;
    let kind = |kind: libc::c_int| [(1, MaskedEq(KIND), kind as u64)];
    let mut refused: BTreeMap<c_long, SeccompRules> = BTreeMap::new();
    for (call, rule) in [
        with_arguments(
            libc::SYS_socket,
            [libc::AF_INET, libc::AF_INET6].map(|family| (0, Ne, family as u64)),
        )?,
        with_arguments(libc::SYS_socketpair, [(0, Ne, libc::AF_UNIX as u64)])?,
        with_arguments(libc::SYS_socketpair, kind(libc::SOCK_DGRAM))?,
        with_arguments(libc::SYS_socketpair, kind(libc::SOCK_RAW))?,
    ] {
        refused.entry(call).or_default().push(rule);
    }
    Ok(refused)
}

/// Calls with higher numbers than [`NEWEST`]. `seccompiler` compares numbers for equality only.
pub(super) fn newer_calls() -> BpfProgram {
    let step = |code: u32, jt, jf, k| sock_filter { code: code as u16, jt, jf, k };
    let refusal = libc::SECCOMP_RET_ERRNO | ENOSYS.unsigned_abs();
    vec![
        // The number of the call is the first word of a filter's input.
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K, 0, 1, NEWEST),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, refusal),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ]
}
