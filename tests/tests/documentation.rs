//! The documentation keeps up with the program.

use std::path::Path;

use rollcall_domain::Code;

fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_code_is_explained() {
    let text = page("docs/failure-modes.md");
    let missing: Vec<_> = Code::ALL.iter().filter(|code| !text.contains(&format!("`{code}`"))).collect();
    assert!(missing.is_empty(), "docs/failure-modes.md does not explain {missing:?}");
}

/// The lines of a text without their indentation, which differs where a piece is quoted.
fn lines(text: &str) -> String {
    text.lines().map(str::trim).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_guide_for_vendors_quotes_the_code_to_the_letter() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/adapter-brindle");
    let mut sources = vec![lines(&page("crates/app/src/wiring.rs"))];
    let mut folders = vec![example.join("src"), example.join("tests")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.expect("the example is readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push(lines(&std::fs::read_to_string(&path).expect("a source is text")));
            }
        }
    }
    let guide = page("docs/adding-a-vendor.md");
    let quotes: Vec<_> = guide
        .split("```rust\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .map(|quote| lines(quote.trim_end()))
        .collect();
    assert!(quotes.len() > 5, "the guide shows no code any more");
    for quote in quotes {
        assert!(
            sources.iter().any(|source| source.contains(&quote)),
            "neither the example nor the wiring has:\n{quote}"
        );
    }
}

#[test]
fn links_between_pages_lead_somewhere() {
    for name in [
        "README.md",
        "ARCHITECTURE.md",
        "docs/adding-a-vendor.md",
        "docs/configuration.md",
        "docs/import-guide.md",
        "docs/mapping.md",
        "docs/failure-modes.md",
        "docs/simulated-vendors.md",
    ] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
        let folder = folder.parent().expect("a page lies in a folder");
        let text = page(name);
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = target.split('#').next().unwrap_or_default();
            if !target.is_empty() && !target.contains("://") {
                assert!(folder.join(target).exists(), "{name} links to {target}");
            }
        }
    }
}
