use super::*;

#[test]
fn sizes_and_ages_are_short() {
    assert_eq!([999, 1000, 1_250_000, u64::MAX].map(size), ["999 B", "1.0 kB", "1.2 MB", "18446.7 PB"]);
    assert_eq!([59, 3_600, 172_799, 172_800].map(age), ["0m", "1h", "47h", "2d"]);
}

#[test]
fn a_collection_is_told_in_whole_sentences() {
    let all = Collected {
        entries: 1,
        packs: 2,
        bytes: 3000,
        waiting_packs: 4,
        waiting_bytes: 5,
        unreadable_scopes: 6,
    };
    insta::assert_snapshot!(collected(&all, true), @"
    would remove 1 entries and 2 packs: 3.0 kB
    4 packs (5 B) go when a later call finds them still unneeded after the longest job
    6 scopes were left alone: the head of an entry cannot be read (see runner cache ls)
    ");
    assert_eq!(collected(&Collected::default(), false), "removed 0 entries and 0 packs: 0 B\n");
}

#[test]
fn a_bar_is_as_long_as_it_is() {
    assert_eq!(bar(1, 3), "[##########--------------------] 1 of 3 scopes");
    assert_eq!(bar(0, 0), "[------------------------------] 0 of 0 scopes");
}
