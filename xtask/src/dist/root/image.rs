//! The image: unpacked, and its program run as its user in nothing but its files.

use std::process::Command;

use anyhow::{Result, ensure};

use crate::dist::Dist;
use crate::dist::steps::{printed, run};
use crate::dist::tree::Tree;

/// Opens a session in a whole network of the program's own, in a network namespace and with the processes of the namespace at
/// `/proc`, as a container has them.
const ONCE: &str = "ip link set lo up && mkdir -p $0/proc && mount -t proc proc $0/proc && \
    exec env -i PATH=/usr/sbin:/usr/bin RKE_DATA_DIR=/var/lib/rke chroot --userspec=65532:65532 $0 /usr/bin/rke dev --once";

pub(super) fn test(dist: &Dist) -> Result<()> {
    let work = Tree::empty(dist.out.join("roots/image"))?;
    let (layout, bundle) = (work.place("layout")?, work.folder().join("bundle"));
    let archive = dist.out.join(format!("rke-{}-x86_64-oci.tar", dist.version));
    run(Command::new("tar").arg("-xf").arg(archive).arg("--directory").arg(&layout))?;
    let image = format!("{}:{}", layout.display(), dist.version);
    run(Command::new("umoci").args(["unpack", "--image", &image]).arg(&bundle))?;
    let mut once = Command::new("unshare");
    once.args(["--net", "--mount", "--pid", "--fork", "sh", "-ec", ONCE]).arg(bundle.join("rootfs"));
    let said = printed(&mut once)?;
    ensure!(said.contains("session"), "no session was opened in the image: {said}");
    Ok(())
}
