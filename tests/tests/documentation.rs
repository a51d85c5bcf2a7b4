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

#[test]
fn links_between_pages_lead_somewhere() {
    for name in [
        "README.md",
        "ARCHITECTURE.md",
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
