//! Every file of `tests/malformed` gives exactly one error, at the right place, and none a panic or a hang. The loading of
//! files, folders and the things that are neither is tested here too.

use kedasim::manifest::{Bundle, Input, LlmInferenceService, ScaledObject};
use kedasim::units::{Diagnostics, Severity};
use std::fs;
use std::path::{Path, PathBuf};

fn load(path: &str) -> Result<Bundle, Diagnostics> {
    Bundle::load(&[Input::Path(PathBuf::from(path))])
}

/// The errors that loading `path` and reading its ScaledObjects give.
fn errors(path: &str) -> Vec<String> {
    let mut diagnostics = Diagnostics::new();
    match load(path) {
        Err(found) => diagnostics = found,
        Ok(bundle) => {
            for document in bundle.of_kind("ScaledObject") {
                let _ = ScaledObject::read(document, &mut diagnostics);
            }
        }
    }
    diagnostics.0.iter().filter(|own| own.severity == Severity::Error).map(ToString::to_string).collect()
}

const CORPUS: &[(&str, &str, &str)] = &[
    ("beyond-64-bits", "8:20", "found the number 100000000000000000000, expected an integer"),
    ("billion-laughs", "4:9", "aliases expand to more than 50000 values"),
    ("binary", "1:1", "a byte that is not UTF-8"),
    (
        "boolean-metadata",
        "14:20",
        "spec.triggers[0].metadata.unsafeSsl: found the boolean false, expected a string: \
         spec.triggers[0].metadata.unsafeSsl in body must be of type string: \"boolean\"",
    ),
    ("boolean-name", "4:9", "metadata.name: found the boolean true, expected a string"),
    ("brackets", "1:65", "nested more than 64 levels deep"),
    ("complex-key", "13:5", "a mapping or list where a key is expected"),
    ("control-character", "4:10", "control character U+0007"),
    ("deep-nesting", "76:129", "nested more than 64 levels deep"),
    ("duplicate-key", "10:3", "duplicate key \"minReplicaCount\""),
    ("empty", "1:1", "there is no YAML document here"),
    ("empty-triggers", "8:13", "at least one trigger is required"),
    ("infinite", "8:20", "an infinite or undefined number"),
    ("keda-1", "1:13", "the ScaledObject of KEDA 1"),
    ("list-document", "1:1", "found a list, expected a Kubernetes object"),
    ("list-for-mapping", "9:5", "spec.advanced: found a list, expected a mapping"),
    ("many-documents", "129:1", "more than 64 documents"),
    ("mapping-for-list", "9:5", "spec.triggers: found a mapping, expected a list"),
    ("missing-triggers", "6:3", "the required field triggers is missing"),
    ("no-kind", "1:1", "this document has no kind"),
    ("no-name", "4:3", "metadata.name: the required field name is missing"),
    ("non-string-annotation", "6:33", "found the boolean true, expected a string"),
    ("non-string-metadata", "12:20", "spec.triggers[0].metadata.threshold: found the integer 5, expected a string"),
    ("octal-namespace", "5:14", "metadata.namespace: found the integer 83, expected a string"),
    ("only-comments", "1:1", "there is no YAML document here"),
    ("out-of-bounds", "8:20", "found the integer 0, expected an integer of at least 1"),
    ("quoted-number", "8:20", "found the string \"3\", expected an integer"),
    ("scalar-document", "1:1", "expected a Kubernetes object"),
    ("second-document", "21:13", "unclosed bracket '{'"),
    ("tab-indentation", "8:1", "a tab is used for indentation"),
    ("template", "4:9", "an unrendered template"),
    ("template-control", "1:1", "an unrendered template"),
    ("template-in-plain-scalar", "4:9", "an unrendered template"),
    ("unclosed-brace", "10:5", "only valid inside a block"),
    ("unindented-value", "8:4", "did not find expected key"),
    ("unknown-alias", "8:20", "unknown anchor"),
    ("unterminated-quote", "12:20", "unclosed quote"),
    ("wrong-type", "8:20", "found the string \"three\", expected an integer"),
];

/// Readers of kinds other than a ScaledObject's, whose mistakes are located too.
#[test]
fn the_scaling_of_an_llm_inference_service_is_read_strictly() {
    let text = "apiVersion: serving.kserve.io/v1alpha2\nkind: LLMInferenceService\nmetadata: {name: m}\nspec:\n";
    let cases = [
        ("  scaling: {maxReplicas: three}\n", "5:26: spec.scaling.maxReplicas: found the string \"three\""),
        ("  scaling: {maxReplicas: 0}\n", "5:26: spec.scaling.maxReplicas: found the integer 0"),
        ("  scaling: {minReplicas: 1}\n", "5:12: spec.scaling.maxReplicas: the required field maxReplicas is missing"),
        ("  scaling: {maxReplicas: 3, keda: []}\n", "5:35: spec.scaling.keda: found a list, expected a mapping"),
        ("  prefill: {scaling: []}\n", "5:22: spec.prefill.scaling: found a list, expected a mapping"),
        ("  template: {containers: {}}\n", "5:26: spec.template.containers: found a mapping, expected a list"),
        ("  parallelism: {tensor: 0}\n", "5:25: spec.parallelism.tensor: found the integer 0"),
        ("  model: {uri: 5}\n", "5:16: spec.model.uri: found the integer 5, expected a string"),
    ];
    for (lines, expected) in cases {
        let bundle = Bundle::from_text(&format!("{text}{lines}"), "t").expect("valid YAML");
        let mut diagnostics = Diagnostics::new();
        let _ = LlmInferenceService::read(&bundle.documents[0], &mut diagnostics);
        assert_eq!(diagnostics.0.len(), 1, "{lines}: {diagnostics}");
        assert!(diagnostics.to_string().starts_with(&format!("error: t:{expected}")), "{diagnostics}");
    }
}

#[test]
fn every_malformed_file_gives_one_located_error() {
    for (name, place, fragment) in CORPUS {
        let path = format!("tests/malformed/{name}.yaml");
        let errors = errors(&path);
        assert_eq!(errors.len(), 1, "{name}: {errors:#?}");
        let expected = format!("error: {path}:{place}: ");
        assert!(errors[0].starts_with(&expected), "{name}: {}", errors[0]);
        assert!(errors[0].contains(fragment), "{name}: {}", errors[0]);
    }
}

#[test]
fn the_corpus_and_its_table_are_the_same() {
    let mut files: Vec<String> = fs::read_dir("tests/malformed")
        .expect("the corpus is there")
        .filter_map(|entry| entry.ok()?.path().file_stem()?.to_str().map(str::to_owned))
        .collect();
    files.sort();
    let table: Vec<&str> = CORPUS.iter().map(|row| row.0).collect();
    assert_eq!(files, table);
}

/// An empty folder of this test's own.
fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("manifest-malformed").join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).expect("a folder can be made");
    path
}

fn service(name: &str) -> String {
    format!("apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\n")
}

#[test]
fn a_folder_is_read_in_name_order_and_not_deeper() {
    let path = folder("order");
    for (file, name) in [("b.yml", "b"), ("a.yaml", "a"), ("c.json", "c"), ("notes.txt", "no")] {
        fs::write(path.join(file), service(name)).expect("a file can be written");
    }
    fs::write(path.join("d.yaml"), "# nothing\n").expect("a file can be written");
    fs::create_dir(path.join("deeper.yaml")).expect("a folder can be made");
    fs::write(path.join("deeper.yaml/e.yaml"), service("e")).expect("a file can be written");
    let bundle = Bundle::load(&[Input::Path(path.clone())]).expect("valid");
    let names: Vec<&str> = bundle.documents.iter().map(|own| own.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(bundle.documents[0].file.as_deref(), Some(path.join("a.yaml").as_path()));
    assert_eq!(&*bundle.documents[0].root.span.file, path.join("a.yaml").to_str().expect("text"));
}

#[test]
fn inputs_are_read_in_the_order_given() {
    let path = folder("inputs");
    fs::write(path.join("a.yaml"), service("a")).expect("a file can be written");
    fs::write(path.join("b.yaml"), service("b")).expect("a file can be written");
    let inputs = [Input::Path(path.join("b.yaml")), Input::Path(path.join("a.yaml"))];
    let names: Vec<String> = Bundle::load(&inputs).expect("valid").documents.into_iter().map(|own| own.name).collect();
    assert_eq!(names, ["b", "a"]);
    assert!(Bundle::load(&[]).expect("nothing is nothing").documents.is_empty());
}

#[test]
fn what_cannot_be_read_is_named_as_it_was_given() {
    let path = folder("unreadable");
    let text = path.to_str().expect("text");
    let message = |path: &str| load(path).expect_err("an error").to_string();
    assert_eq!(message("no/such.yaml"), "error: no/such.yaml: there is no such file or folder\n  help: check the path");
    assert!(message(text).starts_with(&format!("error: {text}: this folder has no *.yaml, *.yml or *.json file")));
    fs::write(path.join("only.yaml"), "# nothing\n").expect("a file can be written");
    assert!(message(text).starts_with(&format!("error: {text}: no file of this folder has a YAML document in it")));
    let large = path.join("large.yaml");
    fs::write(&large, vec![b'#'; (1 << 20) + 1]).expect("a file can be written");
    let large = large.to_str().expect("text");
    assert!(message(large).starts_with(&format!("error: {large}: larger than 1 MiB")), "{}", message(large));
}

#[test]
fn all_broken_files_of_a_folder_are_told_at_once() {
    let path = folder("several");
    fs::write(path.join("a.yaml"), "a: [\n").expect("a file can be written");
    fs::write(path.join("b.yaml"), service("b")).expect("a file can be written");
    fs::write(path.join("c.yaml"), "kind: {{ x }}\n").expect("a file can be written");
    let diagnostics = Bundle::load(&[Input::Path(path)]).expect_err("errors");
    assert_eq!(diagnostics.0.len(), 2, "{diagnostics}");
}

#[test]
fn files_of_charts_and_overlays_say_how_to_render_them() {
    let path = folder("charts");
    for (file, help) in [("kustomization.yaml", "kustomize build ."), ("values.yaml", "helm template .")] {
        let file = path.join(file);
        fs::write(&file, "replicas: 1\n").expect("a file can be written");
        let message = Bundle::load(&[Input::Path(file)]).expect_err("no kind").to_string();
        assert!(message.contains("this document has no kind") && message.contains(help), "{message}");
    }
}
