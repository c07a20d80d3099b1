use proptest::prelude::*;

use super::*;

fn read(pieces: &[&[u8]]) -> Vec<Read> {
    let (mut reader, mut found) = (FrameReader::default(), Vec::new());
    for piece in pieces {
        reader.push(piece, &mut found);
    }
    found
}

fn log_of(found: &[Read]) -> Vec<u8> {
    let mut log = Vec::new();
    for read in found {
        if let Read::Frame(Frame { body: FrameBody::Log { offset, bytes }, .. }) = read {
            assert_eq!(*offset, log.len() as u64);
            log.extend_from_slice(bytes);
        }
    }
    log
}

#[test]
fn what_a_job_prints_is_no_frame() {
    let mut writer = FrameWriter::default();
    let forged = FrameWriter::default().event(&AgentEvent::Notice("forged".into()), 1);
    let printed = [b"\n".as_slice(), &forged, b"\nE 1 1 1 00000000 {}\n\x1an"].concat();
    let stream = writer.log(0, &printed, 7);
    assert_eq!(memchr::memchr(b'\n', &stream), Some(stream.len() - 1));
    assert_eq!(log_of(&read(&[&stream])), printed);
}

#[test]
fn a_stream_that_is_read_again_gives_each_frame_once() {
    let mut writer = FrameWriter::default();
    let first = writer.log(0, b"one\n", 1);
    let second = writer.log(4, b"two\n", 2);
    let third = writer.event(&AgentEvent::Alive, 3);
    let (mut reader, mut found) = (FrameReader::default(), Vec::new());
    reader.push(&first, &mut found);
    reader.push(&second[..5], &mut found);
    reader.restart();
    reader.push(&[first, second, third].concat(), &mut found);
    assert_eq!(log_of(&found), b"one\ntwo\n");
    assert_eq!(found.len(), 3);
}

#[test]
fn what_is_missing_is_seen() {
    let mut writer = FrameWriter::default();
    let (first, _lost, third) = (writer.log(0, b"a", 1), writer.log(1, b"b", 1), writer.log(2, b"c", 1));
    let found = read(&[&first, &third]);
    assert_eq!(found[1], Read::Damage(Damage::Missing(1)));
    assert!(matches!(&found[2], Read::Frame(Frame { body: FrameBody::Log { offset: 2, .. }, .. })));
}

#[test]
fn what_is_damaged_is_no_frame() {
    let stream = FrameWriter::default().log(0, b"a secret", 1);
    for place in 0..stream.len() - 1 {
        let mut damaged = stream.clone();
        damaged[place] ^= 1;
        let found = read(&[&damaged]);
        assert!(found.iter().all(|read| matches!(read, Read::Damage(_))), "byte {place}: {found:?}");
    }
    let endless = vec![b'x'; LONGEST_LINE * 3];
    let found = read(&[&endless, b"\n", &stream]);
    assert!(matches!(&found[0], Read::Damage(Damage::Stray(_))));
    assert!(matches!(&found[1], Read::Frame(_)));
}

proptest! {
    #[test]
    fn any_log_survives_any_pieces(
        parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..30_000), 0..4),
        piece in 1_usize..5_000,
        again_from in any::<prop::sample::Index>(),
    ) {
        let mut writer = FrameWriter::default();
        let mut stream = Vec::new();
        let mut whole = Vec::new();
        for part in &parts {
            stream.extend(writer.log(whole.len() as u64, part, 1));
            whole.extend_from_slice(part);
        }
        let (mut reader, mut found) = (FrameReader::default(), Vec::new());
        let cut = again_from.index(stream.len() + 1);
        for piece in stream[..cut].chunks(piece) {
            reader.push(piece, &mut found);
        }
        reader.restart();
        // Read again from the line that holds some earlier byte.
        let line = stream[..cut / 2].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        for piece in stream[line..].chunks(piece) {
            reader.push(piece, &mut found);
        }
        prop_assert_eq!(log_of(&found), whole);
    }
}
