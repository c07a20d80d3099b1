use std::ops::Range;

use proptest::{collection::vec, prelude::*, sample::Index};

use super::{super::DEFAULT_TOKEN_PREFIXES, *};

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn masks(values: &[&str], prefixes: &[&str]) -> Masks {
    Masks::new(owned(values), owned(prefixes))
}

fn masked_in_parts(masks: &Masks, parts: &[&[u8]]) -> String {
    let mut masker = Masker::new(masks.clone());
    let mut shown = Vec::new();
    for part in parts {
        masker.push(part, &mut |bytes| shown.extend_from_slice(bytes));
    }
    masker.finish(&mut |bytes| shown.extend_from_slice(bytes));
    String::from_utf8(shown).unwrap()
}

/// Masks `text` in one piece, byte by byte, and cut in two at each place; all must give `expected`.
fn check(masks: &Masks, text: &str, expected: &str) {
    assert_eq!(masks.mask(text), expected, "in one piece: {text}");
    let bytes: Vec<_> = text.as_bytes().chunks(1).collect();
    assert_eq!(masked_in_parts(masks, &bytes), expected, "byte by byte: {text}");
    for place in 0..text.len() {
        let (left, right) = text.as_bytes().split_at(place);
        assert_eq!(masked_in_parts(masks, &[left, right]), expected, "cut at {place}: {text}");
    }
}

/// What is shown after each part.
fn shown_after_each(masks: &Masks, parts: &[&str]) -> Vec<String> {
    let mut masker = Masker::new(masks.clone());
    let show = |part: &&str| {
        let mut shown = Vec::new();
        masker.push(part.as_bytes(), &mut |bytes| shown.extend_from_slice(bytes));
        String::from_utf8(shown).unwrap()
    };
    parts.iter().map(show).collect()
}

#[test]
fn values_are_replaced() {
    let masks = masks(&["hunter2", "correct horse battery"], &[]);
    check(&masks, "a hunter2, correct horse battery!", "a [MASKED], [MASKED]!");
    check(&masks, "hunter2hunter2", "[MASKED][MASKED]");
    check(&masks, "hunterhunter2", "hunter[MASKED]");
    check(&masks, "correct horse correct horse battery", "correct horse [MASKED]");
    check(&masks, "correct horse", "correct horse");
}

#[test]
fn the_longest_of_several_values_is_masked() {
    let masks = masks(&["secret", "secret-and-more", "cre"], &[]);
    check(&masks, "a secret-and-more b", "a [MASKED] b");
    check(&masks, "a secret-and-les b", "a [MASKED]-and-les b");
    check(&masks, "a cre", "a [MASKED]");
}

#[test]
fn nothing_of_overlapping_values_remains() {
    let masks = masks(&["abcdefgh", "efghijkl", "ijklm"], &[]);
    check(&masks, "-abcdefghijklm-", "-[MASKED]-");
    check(&masks, "-abcdefghijkl-ijklm-", "-[MASKED]-[MASKED]-");
}

#[test]
fn repeated_letters_are_one_run() {
    let masks = masks(&["aaa", "aaaaaaaaaaaa"], &[]);
    check(&masks, "b aaaaaaaaaaaaaaaaaaaaaaaa b aaa b aa", "b [MASKED] b [MASKED] b aa");
}

#[test]
fn values_of_a_single_letter_are_masked() {
    check(&masks(&["x", "q1"], &[]), "xylophone xx q1q", "[MASKED]ylophone [MASKED][MASKED] [MASKED]q");
}

#[test]
fn an_empty_value_and_a_line_end_mask_nothing() {
    check(&masks(&["", "\n", "\r\n"], &[""]), "a\nb\r\nc", "a\nb\r\nc");
}

#[test]
fn lines_of_a_value_are_masked_on_their_own() {
    let masks = masks(&["-----BEGIN-----\nMIIEvQIBADANBg\n}\n"], &[]);
    check(&masks, "x -----BEGIN-----\nMIIEvQIBADANBg\n}\ny", "x [MASKED]\ny");
    check(&masks, "x MIIEvQIBADANBg\r\n}", "x [MASKED]\r\n}");
    check(&masks, r#"{"key":"-----BEGIN-----\nMIIEvQIBADANBg\n}"}"#, r#"{"key":"[MASKED]"}"#);
}

#[test]
fn escaped_and_encoded_values_are_masked() {
    let masks = masks(&["pass/word \"x\""], &[]);
    check(&masks, r#"{"p":"pass/word \"x\""}"#, r#"{"p":"[MASKED]"}"#);
    check(&masks, "https://u:pass%2Fword%20%22x%22@host/", "https://u:[MASKED]@host/");
    check(&masks, r#"+ [[ a == \p\a\s\s\/\w\o\r\d\ \"\x\" ]]"#, "+ [[ a == [MASKED] ]]");
}

#[test]
fn what_follows_a_prefix_is_masked() {
    let masks = masks(&[], &DEFAULT_TOKEN_PREFIXES);
    check(
        &masks,
        "with glpat-AbC_1.2-=x, and gldt-, glrt-y",
        "with glpat-[MASKED], and gldt-, glrt-[MASKED]",
    );
    check(&masks, "glpat-glpat-abc", "glpat-[MASKED]");
    check(&masks, "_gitlab_session=0123456789abcdef; path=/", "_gitlab_session=[MASKED]; path=/");
}

#[test]
fn a_value_that_is_a_token_is_masked_as_a_whole() {
    let masks = masks(&["glpat-0123456789", "tail/of"], &["glpat-"]);
    check(&masks, "x glpat-0123456789 y", "x [MASKED] y");
    check(&masks, "x glpat-0123456789more y", "x [MASKED] y");
    check(&masks, "x glpat-0123tail/of y", "x glpat-[MASKED] y");
}

#[test]
fn secret_parameters_of_urls_are_masked() {
    check(
        &masks(&[], &[]),
        "GET https://s3/x?X-Amz-Signature=0a/1b&private_token=abc def?rss_token=",
        "GET https://s3/x?X-Amz-Signature=[MASKED]&private_token=[MASKED] def?rss_token=",
    );
}

#[test]
fn only_the_beginning_of_a_value_is_held_back() {
    let masks = masks(&["hunter2", "hunter2-and-more", "password"], &["glpat-"]);
    let parts = ["Password: ", "hunt", "er", "2", "-an", "x", " glpat-", "a", "b", " pass"];
    let shown = ["Password: ", "", "", "[MASKED]", "", "-anx", " glpat-", "[MASKED]", "", " "];
    assert_eq!(shown_after_each(&masks, &parts), shown);
}

#[test]
fn bytes_that_are_no_text_pass_unchanged() {
    let mut masker = Masker::new(masks(&["hunter2"], &[]));
    let mut shown = Vec::new();
    masker.push(b"\xff\xfe hunter2 \x1b[0K\r\x00", &mut |bytes| shown.extend_from_slice(bytes));
    assert_eq!(shown, b"\xff\xfe [MASKED] \x1b[0K\r\x00");
}

#[test]
fn what_is_not_masked_is_not_copied() {
    let text = b"a long text without anything to hide, and nothing that begins like it".repeat(100);
    let mut masker = Masker::new(masks(&["0123456789"], &[]));
    let mut slices = Vec::new();
    masker.push(&text, &mut |bytes| slices.push(bytes.as_ptr_range()));
    assert_eq!(slices, [text.as_ptr_range()]);
}

/// Where `values` occur in `text`: all occurrences, overlapping ones merged.
fn occurrences(text: &[u8], values: &[String]) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for start in 0..text.len() {
        let rest = text.split_at(start).1;
        let longest = values.iter().filter(|value| rest.starts_with(value.as_bytes())).map(String::len).max();
        let Some(length) = longest.filter(|length| *length > 0) else { continue };
        match found.last_mut() {
            Some(last) if last.end > start => last.end = last.end.max(start + length),
            _ => found.push(start..start + length),
        }
    }
    found
}

/// The definition of masking, as slow as it is plain.
fn masked_slowly(text: &[u8], values: &[String]) -> Vec<u8> {
    let mut shown = Vec::new();
    let mut from = 0;
    for run in occurrences(text, values) {
        shown.extend_from_slice(text.get(from..run.start).unwrap());
        shown.extend_from_slice(b"[MASKED]");
        from = run.end;
    }
    shown.extend_from_slice(text.get(from..).unwrap());
    shown
}

/// Texts in which the values, parts of them and other letters occur close to each other.
fn text_of(values: &[String]) -> impl Strategy<Value = Vec<u8>> + use<> {
    let parts: Vec<String> = values.to_vec();
    let part = (0..parts.len().max(1), any::<Index>(), any::<Index>()).prop_map(move |(which, from, to)| {
        let value = parts.get(which).map(String::as_bytes).unwrap_or_default();
        let (from, to) = (from.index(value.len() + 1), to.index(value.len() + 1));
        value.get(from.min(to)..from.max(to)).unwrap_or_default().to_vec()
    });
    let whole: Vec<Vec<u8>> = values.iter().map(|value| value.clone().into_bytes()).collect();
    let whole = proptest::sample::select(if whole.is_empty() { vec![Vec::new()] } else { whole });
    let noise = "[a-d \n]{0,12}".prop_map(String::into_bytes);
    vec(prop_oneof![whole, part, noise], 0..40).prop_map(|parts| parts.concat())
}

fn values() -> impl Strategy<Value = Vec<String>> {
    let value = prop_oneof!["[a-c]{1,4}", "[a-d]{8,14}", "a{1,12}", "(ab){3,8}", "[a-d]{5,9}"];
    vec(value, 0..8).prop_flat_map(|values| {
        // Beginnings and ends of other values are values of their own.
        let cut = vec((any::<Index>(), any::<Index>(), any::<bool>()), 0..4);
        (Just(values), cut).prop_map(|(mut values, cuts)| {
            for (which, place, at_start) in cuts {
                if values.is_empty() {
                    break;
                }
                let value = which.get(&values).clone();
                let (left, right) = value.split_at(place.index(value.len() + 1));
                values.push(if at_start { left } else { right }.to_owned());
            }
            values
        })
    })
}

#[test]
fn secrets_are_found_anywhere_in_a_long_text() {
    let mut state = 1_u64;
    let mut next = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % bound
    };
    // Letters only: these have no other form in which they would be masked too.
    let letters: Vec<u8> = (b'A'..=b'Z').chain(b'a'..=b'z').collect();
    let secrets: Vec<String> = (8..40)
        .map(|length| (0..length).map(|_| char::from(letters[next(letters.len())])).collect())
        .collect();
    let mut text = Vec::new();
    while text.len() < 200_000 {
        text.extend((0..next(300)).map(|_| letters[next(letters.len())]));
        let secret = secrets[next(secrets.len())].as_bytes();
        // Sometimes it is only the beginning of a secret.
        text.extend_from_slice(secret.split_at(secret.len() - next(2) * next(8)).0);
    }
    let expected = masked_slowly(&text, &secrets);
    let masks = Masks::new(secrets, []);
    for size in [1, 7, 4096, 65_536, text.len()] {
        let parts: Vec<_> = text.chunks(size).collect();
        assert_eq!(masked_in_parts(&masks, &parts).as_bytes(), expected, "in parts of {size} bytes");
    }
}

/// Secrets, a text, and four ways to cut it.
fn case() -> impl Strategy<Value = (Vec<String>, Vec<u8>, Vec<Vec<Index>>)> {
    values().prop_flat_map(|values| {
        let text = text_of(&values);
        (Just(values), text, vec(vec(any::<Index>(), 0..12), 4))
    })
}

fn cut<'a>(text: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<_> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
    places.extend([0, text.len()]);
    places.sort_unstable();
    places.windows(2).map(|place| text.get(place[0]..place[1]).unwrap()).collect()
}

proptest! {
    // Each case is cut in four ways: 10,000 random splits.
    #![proptest_config(ProptestConfig { cases: 2_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn however_the_stream_is_cut_no_secret_shows((values, text, ways) in case()) {
        let masks = Masks::new(values.clone(), []);
        let expected = masked_slowly(&text, &values);
        for cuts in ways {
            let shown = masked_in_parts(&masks, &cut(&text, &cuts));
            prop_assert_eq!(shown.as_bytes(), expected.as_slice());
            for value in values.iter().filter(|value| !value.is_empty()) {
                prop_assert!(!shown.contains(value.as_str()), "{} shows in {}", value, shown);
            }
        }
    }

    #[test]
    fn tokens_are_masked_however_the_stream_is_cut(
        parts in vec(prop_oneof![Just("glpat-"), Just("gl"), Just("pat-"), Just("x_9"), Just(" "), Just("tok/en"),
            Just("?rss_token="), Just("&")], 0..30),
        cuts in vec(any::<Index>(), 0..12),
    ) {
        let masks = masks(&["tok/en", "at-x"], &["glpat-", "gl"]);
        let text = parts.concat();
        prop_assert_eq!(masked_in_parts(&masks, &cut(text.as_bytes(), &cuts)), masks.mask(&text));
    }
}
