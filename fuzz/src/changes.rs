//! Changes to valid input: a few bytes flipped, the end cut off, bytes added. They reach what random
//! bytes do not, for most of these are refused by a header's constants already.

use bolero::{ValueGenerator, produce};

use crate::corpus::File;

/// Changes to one file of a corpus.
#[derive(Debug, Clone)]
pub struct Changes {
    file: u8,
    flips: Vec<(u16, u8)>,
    cut: Option<u16>,
    added: Vec<u8>,
}

/// Any changes, or none.
pub fn any() -> impl ValueGenerator<Output = Changes> {
    let flips = produce::<Vec<(u16, u8)>>().with().len(0..=3_usize);
    let shapes = (produce::<u8>(), flips, produce::<u8>(), produce::<u16>(), produce::<Vec<u8>>());
    shapes.map_gen(|(file, flips, shape, cut, added)| Changes {
        file,
        flips,
        // Most changes leave the length alone: a wrong one is refused before anything else.
        cut: (shape % 8 == 0).then_some(cut),
        added: if shape % 8 == 1 { added } else { Vec::new() },
    })
}

impl Changes {
    /// The file that these changes apply to, and the expected result.
    pub fn apply<'a>(&self, files: &'a [File]) -> (&'a File, Vec<u8>) {
        let file = &files[usize::from(self.file) % files.len()];
        let mut bytes = file.1.clone();
        if let Some(cut) = self.cut {
            bytes.truncate(usize::from(cut) % (bytes.len() + 1));
        }
        for (at, flip) in &self.flips {
            let len = bytes.len().max(1);
            if let Some(byte) = bytes.get_mut(usize::from(*at) % len) {
                *byte ^= flip;
            }
        }
        bytes.extend_from_slice(&self.added);
        (file, bytes)
    }
}
