use proptest::prelude::*;

use super::*;

const ID_OF_WRITE: &str = "0123456789abcdef0123456789abcdef";

fn head() -> Head {
    let pack = |number| Pack { name: PackName::new(ID_OF_WRITE, number).unwrap(), size: 1000, day: 20_000 };
    let index = Place { pack: 1, offset: 900, length: 100, digest: blake3::hash(b"index") };
    Head { made: 20_001, files: 3, bytes: 4_000, index, packs: vec![pack(0), pack(7)] }
}

fn refused(text: &str) -> bool {
    matches!(Head::parse(text.as_bytes()), Err(error) if error.kind() == ErrorKind::Corrupt)
}

#[test]
fn a_head_is_read_as_it_was_written() {
    assert_eq!(Head::parse(head().to_text().as_bytes()).unwrap(), head());
    assert_eq!(head().stored(), 2000);
}

#[test]
fn a_full_head_fits() {
    let packs = (0..MOST_PACKS).map(|number| Pack {
        name: PackName::new(ID_OF_WRITE, number).unwrap(),
        size: LARGEST_PACK,
        day: u32::MAX,
    });
    let full = Head { packs: packs.collect(), files: u64::MAX, bytes: u64::MAX, ..head() };
    assert!(full.to_text().len() <= LARGEST);
    assert_eq!(Head::parse(full.to_text().as_bytes()).unwrap(), full);
}

#[test]
fn names_that_lead_elsewhere_are_no_names() {
    for name in [
        "../../other-scope/packs/x",
        "/etc/passwd",
        "",
        ".",
        "..",
        "0123456789abcdef0123456789abcdef",
        "0123456789abcdef0123456789abcdef-",
        "0123456789abcdef0123456789abcdef-00000",
        "0123456789ABCDEF0123456789ABCDEF-0000",
        "0123456789abcdef0123456789abcdef-0000\n",
        "0123456789abcdef0123456789abcde/-0000",
        "0123456789abcdef0123456789abcdef-000\u{664}",
        "https://elsewhere.example/0123456789abcdef0123456789abcdef-0000",
    ] {
        assert_eq!(PackName::parse(name), None, "{name:?}");
        assert!(refused(&head().to_text().replace(&format!("{ID_OF_WRITE}-0007"), name)), "{name:?}");
    }
    assert_eq!(PackName::new(ID_OF_WRITE, 10_000), None);
}

#[test]
fn what_is_no_head_is_refused() {
    let good = head().to_text();
    let line = |number: usize| good.lines().nth(number).unwrap().to_owned();
    let twice = format!("{good}{}\n", line(4));
    let many = good.clone() + &"x".repeat(LARGEST);
    let cut = good.get(..good.len() - 1).unwrap();
    for text in ["", "\n", "null", cut, &twice, &many, &format!("{good}\n"), &good.replace('\n', "\r\n")] {
        assert!(refused(text), "{text}");
    }
    for (from, to) in [
        ("runner-cache 1", "runner-cache 2"),
        ("index 1 ", "index 2 "),
        ("index 1 900 100", "index 1 901 100"),
        ("index 1 900 100", "index 1 18446744073709551615 2"),
        ("tree 3 ", "tree +3 "),
        ("tree 3 ", "tree 03 "),
        (" 1000 20000", " 0 20000"),
        (" 1000 20000", " 9999999999999 20000"),
        (" 1000 20000", " 1000 -1"),
        ("made 20001", "made 20001 "),
    ] {
        assert!(good.contains(from) && refused(&good.replace(from, to)), "{from} → {to}");
    }
    assert!(Head::parse(&[0xff; 10]).is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(Head::parse(&bytes).is_err());
    }

    #[test]
    fn a_head_with_a_byte_changed_is_another_head_or_none(at in 0..300_usize, byte in any::<u8>()) {
        let mut bytes = head().to_text().into_bytes();
        let at = at % bytes.len();
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        prop_assert!(Head::parse(&bytes).map_or(true, |read| read != head() && read.to_text().as_bytes() == bytes));
    }
}
