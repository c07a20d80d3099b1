//! The content of files of the work tree in a few letters, for `cache:key:files`.

use std::{
    fs::File,
    io::{self, Read},
    path::{Component, Path},
};

use super::Repository;
use crate::pipeline::TreeDigest;

const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

impl TreeDigest for Repository {
    /// FNV-1a with 128 bits over the names and contents: enough to tell contents apart, where nobody gains by a
    /// collision. Files outside of the repository count as missing.
    fn digest(&self, files: &[String]) -> Option<String> {
        let mut hash = OFFSET;
        let mut found = false;
        for file in files {
            if let Ok(next) = with_file(self.root(), file, hash) {
                hash = next;
                found = true;
            }
        }
        found.then(|| format!("{hash:032x}"))
    }
}

fn with_file(root: &Path, name: &str, hash: u128) -> io::Result<u128> {
    let is_inside =
        Path::new(name).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    let path = root.join(name);
    if !is_inside || !path.is_file() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let mut hash = with_bytes(with_bytes(hash, name.as_bytes()), &[0]);
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        let length = file.read(&mut buffer)?;
        match buffer.get(..length) {
            Some([]) | None => return Ok(with_bytes(hash, &[0])),
            Some(bytes) => hash = with_bytes(hash, bytes),
        }
    }
}

fn with_bytes(hash: u128, bytes: &[u8]) -> u128 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME))
}
