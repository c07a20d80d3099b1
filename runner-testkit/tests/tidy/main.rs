//! The rules of `CONTRIBUTING.md` that no lint can see. Each test is one rule, and its failure lists every offence.
//!
//! The rules themselves are pure functions over the text of files, and their own tests prove that they fail when they
//! should. Only `tree.rs` touches the disk.

mod crates;
mod documents;
mod manifest;
mod offence;
mod scan;
mod sources;
mod tree;

use offence::{Offence, Untidy};
use tree::Tree;

type Verdict = Result<(), Untidy>;

fn judge(rule: impl Fn(&Tree) -> Vec<Offence>) -> Verdict {
    let offences = rule(&Tree::of_this_repository()?);
    if offences.is_empty() { Ok(()) } else { Err(Untidy::Offences(offences)) }
}

#[test]
fn no_file_is_too_long() -> Verdict {
    judge(|tree| tree.rust().filter_map(sources::too_long).collect())
}

#[test]
fn every_file_opens_with_what_it_holds() -> Verdict {
    judge(|tree| tree.rust().filter_map(sources::without_opening).collect())
}

#[test]
fn no_module_has_a_name_that_says_nothing() -> Verdict {
    judge(|tree| tree.rust().filter_map(sources::empty_name).collect())
}

#[test]
fn each_crate_has_one_binary_of_integration_tests() -> Verdict {
    judge(|tree| tree.rust().filter_map(sources::lone_integration_test).collect())
}

#[test]
fn every_note_of_work_left_names_its_issue() -> Verdict {
    judge(|tree| tree.files().iter().flat_map(sources::note_without_issue).collect())
}

#[test]
fn the_core_touches_no_file_no_network_and_no_environment() -> Verdict {
    judge(|tree| tree.rust().filter(|file| file.is_in("runner-core/src")).flat_map(sources::io).collect())
}

#[test]
fn every_crate_inherits_the_lints() -> Verdict {
    judge(|tree| crates::without_lints(&tree.members()))
}

#[test]
fn versions_of_dependencies_stand_in_one_place() -> Verdict {
    judge(|tree| crates::with_own_versions(&tree.members()))
}

#[test]
fn crates_depend_only_on_what_the_arrows_allow() -> Verdict {
    judge(|tree| crates::against_the_arrows(&tree.members()))
}

#[test]
fn only_what_is_for_others_can_be_published() -> Verdict {
    judge(|tree| crates::published_by_mistake(&tree.members()))
}

#[test]
fn every_dependency_comes_from_the_public_registry() -> Verdict {
    judge(|tree| tree.files().iter().flat_map(crates::other_registry).collect())
}

#[test]
fn the_readme_names_every_example() -> Verdict {
    judge(documents::unnamed_examples)
}

#[test]
fn the_readme_shows_the_program_that_is_run() -> Verdict {
    judge(|tree| documents::other_embedding(tree).into_iter().collect())
}

#[test]
fn the_architecture_names_exactly_the_crates_that_exist() -> Verdict {
    judge(documents::wrong_crates)
}

#[test]
fn the_architecture_lists_every_decision() -> Verdict {
    judge(documents::unlisted_decisions)
}

#[test]
fn every_link_between_documents_leads_somewhere() -> Verdict {
    judge(documents::dead_links)
}

#[test]
fn every_sentence_of_a_document_has_its_line() -> Verdict {
    judge(|tree| tree.files().iter().flat_map(documents::crowded_lines).collect())
}

#[test]
fn no_file_names_the_machine_it_was_written_on() -> Verdict {
    judge(|tree| tree.files().iter().flat_map(documents::machine_paths).collect())
}
