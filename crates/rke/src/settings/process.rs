//! The settings of the process, which the daemon, a node and a Content Server have in common.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Deserialize;

use crate::protection::{Protection, SecretMemoryChoice};
use crate::sandbox::SandboxChoice;
use crate::switch::{Switch, switch_in_file};

/// The flags, and the keys of the configuration file.
#[derive(Args, Clone, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub(super) struct ProcessOptions {
    /// The memory to hold secrets in [default: auto].
    #[arg(long, value_name = "KIND", env = "RKE_SECRET_MEMORY")]
    #[serde(alias = "secret_memory")]
    secret_memory: Option<SecretMemoryChoice>,
    /// Let debuggers and core dumps see everything, keys included. For debugging rke only.
    #[arg(long, value_name = "SWITCH", env = "RKE_INSECURE_DEBUG", value_parser = Switch, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[serde(alias = "insecure_debug", default, deserialize_with = "switch_in_file")]
    insecure_debug: Option<bool>,
    /// Whether to give up, once started, all rights that are not needed [default: on]. See SECURITY.md.
    #[arg(long, value_name = "WHEN", env = "RKE_SANDBOX")]
    sandbox: Option<SandboxChoice>,
    /// Write a tamper-evident log of what happens to sessions, keys and key sets to this file. See docs/audit-log.md.
    #[arg(long, value_name = "FILE", env = "RKE_AUDIT_LOG")]
    #[serde(alias = "audit_log")]
    audit_log: Option<PathBuf>,
    /// What to log: error, warn, info, debug, trace, or a filter such as rke_host=debug [default: info].
    #[arg(long, value_name = "FILTER", env = "RKE_LOG")]
    log: Option<String>,
    /// How to log [default: text].
    #[arg(long, value_name = "FORMAT", env = "RKE_LOG_FORMAT")]
    #[serde(alias = "log_format")]
    log_format: Option<LogFormat>,
}

/// The form of the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// Lines for people to read.
    Text,
    /// One JSON object per line.
    Json,
}

/// The settings of the process. Only the filter of the log can change while it runs.
#[derive(Debug)]
pub(crate) struct ProcessSettings {
    pub(crate) protection: Protection,
    pub(super) sandbox: SandboxChoice,
    pub(crate) audit_log: Option<PathBuf>,
    pub(crate) log: String,
    pub(crate) log_format: LogFormat,
}

impl ProcessOptions {
    /// Takes from the file what flags and environment left open.
    pub(super) fn or(self, file: Self) -> Self {
        Self {
            secret_memory: self.secret_memory.or(file.secret_memory),
            insecure_debug: self.insecure_debug.or(file.insecure_debug),
            sandbox: self.sandbox.or(file.sandbox),
            audit_log: self.audit_log.or(file.audit_log),
            log: self.log.or(file.log),
            log_format: self.log_format.or(file.log_format),
        }
    }

    /// The settings, with defaults for everything still open.
    pub(super) fn settle(self) -> ProcessSettings {
        ProcessSettings {
            protection: Protection {
                secret_memory: self.secret_memory.unwrap_or_default(),
                insecure_debug: self.insecure_debug.unwrap_or_default(),
            },
            sandbox: self.sandbox.unwrap_or_default(),
            audit_log: self.audit_log,
            log: self.log.unwrap_or_else(|| "info".into()),
            log_format: self.log_format.unwrap_or(LogFormat::Text),
        }
    }
}

impl ProcessSettings {
    /// The names of the settings that differ in `wanted` and take effect only after a restart.
    pub(crate) fn differences(&self, wanted: &Self) -> Vec<&'static str> {
        let Self { protection, sandbox, audit_log, log: _, log_format } = self;
        named([
            ("secret-memory", protection.secret_memory != wanted.protection.secret_memory),
            ("insecure-debug", protection.insecure_debug != wanted.protection.insecure_debug),
            ("sandbox", *sandbox != wanted.sandbox),
            ("audit-log", *audit_log != wanted.audit_log),
            ("log-format", *log_format != wanted.log_format),
        ])
    }
}

/// The names of those that differ.
pub(super) fn named<const N: usize>(differs: [(&'static str, bool); N]) -> Vec<&'static str> {
    differs.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
}
