//! What a node checks about the store before it uses it. Some faults keep it from starting, others are warnings.

use redis::Value;

use crate::error::Outage;
use crate::link::Link;

/// The oldest version whose scripts may do what ours do.
const OLDEST_VERSION: u64 = 7;

/// Why a store cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnfitStore {
    #[error("the store is version {0}, and rke needs Redis 7 or Valkey 7.2 or later. Upgrade it")]
    Old(String),
    #[error(
        "the store may drop sessions when its memory is full (maxmemory-policy {0}), without anyone knowing it. Set `maxmemory-policy \
         noeviction` in its configuration"
    )]
    Evicts(String),
}

/// What may weaken the guarantees of a store. A node that starts logs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    #[error(
        "the store writes sessions to disk, sealed. Anyone who gets the disk and later the key file can open old ones. Set `save \"\"` and \
         `appendonly no`"
    )]
    Persistent,
    #[error(
        "the store has replicas and min-replicas-to-write is 0, so a primary that is cut off goes on serving. Set \
         `min-replicas-to-write 1`"
    )]
    ServesAlone,
    #[error(
        "the store has replicas and repl-backlog-ttl is not 0, so all sessions end when the last replica has been gone for that long. \
         Set `repl-backlog-ttl 0`"
    )]
    ForgetsBacklog,
    #[error(
        "the store does not show its configuration, so nobody has checked that it does not write to disk. Allow `CONFIG GET`, or check \
         it by hand"
    )]
    Hidden,
}

/// What the store says about itself, as one of its nodes says it.
pub(crate) struct About {
    info: String,
    config: Option<Vec<(String, String)>>,
}

/// Checks all nodes of the store.
///
/// # Errors
/// [`UnfitStore`] in the inner result; [`Outage`] if the store cannot be asked.
pub(crate) async fn check(link: &Link) -> Result<Result<Vec<Warning>, UnfitStore>, Outage> {
    Ok(judge(&ask(link).await?))
}

/// What each server of the store says about itself.
pub(crate) async fn ask(link: &Link) -> Result<Vec<About>, Outage> {
    let info = link.command(redis::cmd("INFO").arg("everything")).await?;
    let config = match link.command(&config_query()).await {
        Ok(config) => Some(pairs(&config)),
        Err(Outage::Refused(_)) => None,
        Err(outage) => return Err(outage),
    };
    Ok(texts(&info).into_iter().map(|info| About { info, config: config.clone() }).collect())
}

/// The warnings about all servers, each once.
pub(crate) fn judge(servers: &[About]) -> Result<Vec<Warning>, UnfitStore> {
    let mut warnings = Vec::new();
    for server in servers {
        warnings.extend(server.judge()?);
    }
    warnings.sort_by_key(|warning| *warning as u8);
    warnings.dedup();
    Ok(warnings)
}

fn config_query() -> redis::Cmd {
    let mut query = redis::cmd("CONFIG");
    query.arg("GET").arg("save").arg("appendonly").arg("min-replicas-to-write").arg("repl-backlog-ttl");
    query
}

impl About {
    /// Its program and version.
    pub(crate) fn program(&self) -> String {
        match self.info("valkey_version") {
            Some(version) => format!("Valkey {version}"),
            None => format!("Redis {}", self.info("redis_version").unwrap_or("of unknown version")),
        }
    }

    fn judge(&self) -> Result<Vec<Warning>, UnfitStore> {
        let version = self.info("redis_version").unwrap_or("unknown");
        let major = version.split('.').next().and_then(|major| major.parse().ok());
        if major.is_none_or(|major: u64| major < OLDEST_VERSION) {
            return Err(UnfitStore::Old(version.into()));
        }
        let policy = self.info("maxmemory_policy").unwrap_or("unknown");
        if policy != "noeviction" {
            return Err(UnfitStore::Evicts(policy.into()));
        }
        Ok(self.warnings())
    }

    fn warnings(&self) -> Vec<Warning> {
        if self.config.is_none() {
            return vec![Warning::Hidden];
        }
        let is_set = |name: &str, off: &str| self.config(name).is_some_and(|value| value != off);
        let has_replicas = self.info("connected_slaves").is_some_and(|count| count != "0");
        let found = [
            (Warning::Persistent, is_set("save", "") || is_set("appendonly", "no")),
            (Warning::ServesAlone, has_replicas && !is_set("min-replicas-to-write", "0")),
            (Warning::ForgetsBacklog, has_replicas && is_set("repl-backlog-ttl", "0")),
        ];
        found.into_iter().filter_map(|(warning, is_found)| is_found.then_some(warning)).collect()
    }

    fn info(&self, name: &str) -> Option<&str> {
        self.info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim_end)
    }

    fn config(&self, name: &str) -> Option<&str> {
        self.config.as_ref()?.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// The texts in a response. A cluster's response has one of each node.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::BulkString(bytes) => vec![String::from_utf8_lossy(bytes).into_owned()],
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => vec![text.clone()],
        Value::Map(nodes) => nodes.iter().flat_map(|(_, value)| texts(value)).collect(),
        Value::Array(nodes) => nodes.iter().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

fn pairs(value: &Value) -> Vec<(String, String)> {
    match value {
        Value::Map(entries) => {
            let pair = |(name, value): &(Value, Value)| Some((texts(name).pop()?, texts(value).pop()?));
            entries.iter().filter_map(pair).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
