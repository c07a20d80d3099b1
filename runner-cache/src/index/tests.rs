use proptest::prelude::*;

use super::*;
use crate::head::{Head, Pack, PackName, Place};

fn head() -> Head {
    let name = PackName::new("0123456789abcdef0123456789abcdef", 0).unwrap();
    let index = Place { pack: 0, offset: 0, length: 1, digest: blake3::hash(b"") };
    Head { made: 1, files: 0, bytes: 0, index, packs: vec![Pack { name, size: 1000, day: 1 }] }
}

#[test]
fn an_index_that_unpacks_to_more_than_any_is_refused() {
    let mut bomb = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
    let start = [MAGIC.as_slice(), &[0, 1]].concat();
    io::Write::write_all(&mut bomb, &start).unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..=(LARGEST >> 20) {
        io::Write::write_all(&mut bomb, &zeros).unwrap();
    }
    let bomb = bomb.finish().unwrap();
    assert!(bomb.len() < 100_000);
    assert_eq!(Index::parse(&bomb, &head()).unwrap_err().kind(), io::ErrorKind::InvalidData);
}

proptest! {
    #[test]
    fn numbers_are_read_as_they_were_written(number: u64, signed: i64) {
        let mut bytes = Vec::new();
        number::put(&mut bytes, number);
        prop_assert_eq!(number::get(&mut bytes.as_slice()).unwrap(), number);
        prop_assert_eq!(number::unfolded(number::folded(signed)), signed);
    }

    #[test]
    fn any_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let content = [MAGIC.as_slice(), &bytes].concat();
        let packed = zstd::bulk::compress(&content, 1).unwrap();
        prop_assume!(bytes != [0, 0]);
        prop_assert!(Index::parse(&packed, &head()).is_err());
        prop_assert!(Index::parse(&bytes, &head()).is_err());
    }
}
