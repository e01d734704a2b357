//! Where a Content Server is.

use std::fmt;

/// Where DNS says that a Content Server is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServerName {
    /// A host name or an address.
    pub host: String,
    /// Its TCP port.
    pub port: u16,
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}
