//! The image for containers: the program, the licences and a folder for its data, and nothing else. umoci makes it in the format
//! of the Open Container Initiative, without a daemon and without root.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::Dist;
use super::steps::{rfc_3339, run, tar};
use super::tree::Tree;
use crate::need;

/// The user that the program runs as.
const USER: u32 = 65532;

/// Where the programs of the image keep their data: the value of `RKE_DATA_DIR`.
const DATA: &str = "var/lib/rke";

const TEMPORARY: &str = "tmp";

/// What the image has of the tree.
const PARTS: [&str; 5] = [
    "usr/bin/rke",
    "usr/share/doc/rke/LICENSE-MIT",
    "usr/share/doc/rke/LICENSE-APACHE",
    "usr/share/doc/rke/LGPL-2.1",
    "usr/share/doc/rke/THIRD-PARTY.md",
];

pub(super) fn pack(dist: &Dist, tree: &Tree) -> Result<String> {
    need("umoci", "umoci")?;
    let work = Tree::empty(dist.out.join("image"))?;
    let layer = pack_layer(dist, tree, &work)?;
    let layout = work.folder().join("layout");
    let image = format!("{}:{}", layout.display(), dist.version);
    let created = rfc_3339(&dist.epoch)?;
    run(Command::new("umoci").args(["init", "--layout"]).arg(&layout))?;
    run(Command::new("umoci").args(["new", "--image", &image]))?;
    let add = ["raw", "add-layer", "--image", &image, "--history.created", &created];
    run(Command::new("umoci").args(add).arg(layer))?;
    configure(dist, &image, &created)?;
    // What the commands before left behind.
    run(Command::new("umoci").args(["gc", "--layout"]).arg(&layout))?;
    let name = format!("rke-{}-x86_64-oci.tar", dist.version);
    let mut archive = tar(&dist.epoch, 0);
    archive.args(["--mode=u=rwX,go=rX", "--create", "--file"]).arg(dist.out.join(&name));
    run(archive.arg("--directory").arg(&layout).args(["blobs", "index.json", "oci-layout"]))?;
    Ok(name)
}

/// The only layer, and in it the folder for data, which belongs to the user of the image, and `/tmp`, where `rke dev` works.
fn pack_layer(dist: &Dist, tree: &Tree, work: &Tree) -> Result<PathBuf> {
    let root = Tree::empty(work.folder().join("root"))?;
    for part in PARTS {
        let (folder, _) = part.rsplit_once('/').context("files are in folders")?;
        root.copy(&tree.folder().join(part), folder)?;
    }
    root.write("etc/passwd", &format!("rke:x:{USER}:{USER}:rke:/{DATA}:/usr/bin/rke\n"))?;
    root.write("etc/group", &format!("rke:x:{USER}:\n"))?;
    for folder in [DATA, TEMPORARY] {
        root.place(folder)?;
    }
    let layer = work.folder().join("layer.tar");
    let pack = |owner: u32, mode: &str, action: &str, what: &[&str]| {
        let mut command = tar(&dist.epoch, owner);
        command.arg(format!("--mode={mode}")).arg(action).arg("--file").arg(&layer);
        run(command.arg("--directory").arg(root.folder()).args(what))
    };
    pack(0, "u=rwX,go=rX", "--create", &["etc", "usr"])?;
    pack(USER, "u=rwX,go=", "--append", &[DATA])?;
    pack(0, "1777", "--append", &[TEMPORARY])?;
    Ok(layer)
}

fn configure(dist: &Dist, image: &str, created: &str) -> Result<()> {
    let mut command = Command::new("umoci");
    command.args(["config", "--image", image, "--no-history", "--created", created]);
    command.args(["--architecture", "amd64", "--os", "linux", "--config.entrypoint", "/usr/bin/rke"]);
    command.args(["--config.cmd", "serve", "--config.user", &format!("{USER}:{USER}")]);
    command.args(["--config.volume", &format!("/{DATA}"), "--config.env", &format!("RKE_DATA_DIR=/{DATA}")]);
    let labels = [
        ("title", "rke"),
        ("version", &dist.version),
        ("licenses", env!("CARGO_PKG_LICENSE")),
        ("source", env!("CARGO_PKG_REPOSITORY")),
    ];
    for (name, value) in labels {
        command.args(["--config.label", &format!("org.opencontainers.image.{name}={value}")]);
    }
    run(&mut command)
}
