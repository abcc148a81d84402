//! All documents that one command line names. Which kinds are read stands here; what they mean does not.

use crate::manifest::fields::nearest;
use crate::manifest::{Node, Value, emit, parse_documents, template, yaml};
use crate::units::{Diagnostic, Diagnostics, Span};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Most files that are read from one folder.
const MAX_FILES: usize = 1_000;

/// The kinds that are kept, with the API groups they are known under.
const KINDS: [(&str, &[&str]); 16] = [
    ("ScaledObject", &["keda.sh", "keda.k8s.io"]),
    ("TriggerAuthentication", &["keda.sh", "keda.k8s.io"]),
    ("ClusterTriggerAuthentication", &["keda.sh"]),
    ("HorizontalPodAutoscaler", &["autoscaling"]),
    ("InferenceService", &["serving.kserve.io"]),
    ("LLMInferenceService", &["serving.kserve.io"]),
    ("Deployment", &["apps"]),
    ("StatefulSet", &["apps"]),
    ("LeaderWorkerSet", &["leaderworkerset.x-k8s.io"]),
    ("PodMonitor", &["monitoring.coreos.com"]),
    ("ServiceMonitor", &["monitoring.coreos.com"]),
    ("PrometheusRule", &["monitoring.coreos.com"]),
    ("Scenario", &[OWN_GROUP]),
    ("Traffic", &[OWN_GROUP]),
    ("Profile", &[OWN_GROUP]),
    ("Sweep", &[OWN_GROUP]),
];

/// The API group of kedasim's own files.
const OWN_GROUP: &str = "kedasim.dev";

/// One place documents come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A YAML file, or a folder whose `*.yaml`/`*.yml`/`*.json` files are read in name order.
    Path(PathBuf),
    /// Standard input, given as `-`.
    Stdin,
}

/// One YAML document.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// `apiVersion`, "" when absent.
    pub api_version: String,
    /// `kind`, "" when absent.
    pub kind: String,
    /// `metadata.name`, "" when absent.
    pub name: String,
    /// `metadata.namespace`.
    pub namespace: Option<String>,
    /// The whole document.
    pub root: Node,
    /// The file it came from (for paths inside it), `None` for stdin.
    pub file: Option<PathBuf>,
}

/// A document of a kind that is not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Where it starts.
    pub span: Span,
}

/// The documents in the order read; `kind: List` opened, `status` and server-set metadata still there.
#[derive(Clone, Debug, Default)]
pub struct Bundle {
    /// Documents of the kinds that kedasim reads.
    pub documents: Vec<Document>,
    /// The others.
    pub skipped: Vec<Skipped>,
}

impl Document {
    /// The document whose tree is `root`.
    pub fn new(root: Node, file: Option<PathBuf>) -> Self {
        let mut document = Document {
            api_version: String::new(),
            kind: String::new(),
            name: String::new(),
            namespace: None,
            root,
            file,
        };
        document.refresh();
        document
    }

    /// Reads kind and name from the tree again, after a change to it.
    pub(crate) fn refresh(&mut self) {
        let text = |node: Option<&Node>| node.and_then(Node::as_str).map(str::to_owned);
        let metadata = self.root.get("metadata");
        let name = text(metadata.and_then(|metadata| metadata.get("name")));
        let namespace = text(metadata.and_then(|metadata| metadata.get("namespace")));
        self.api_version = text(self.root.get("apiVersion")).unwrap_or_default();
        self.kind = text(self.root.get("kind")).unwrap_or_default();
        self.name = name.unwrap_or_default();
        self.namespace = namespace;
    }

    /// Whether it is one of kedasim's own files (Scenario, Traffic, Profile, Sweep) rather than part of the policy.
    fn is_own(&self) -> bool {
        KINDS.iter().any(|(kind, groups)| *kind == self.kind && groups.contains(&OWN_GROUP))
    }

    /// Whether its kind is read. A missing `apiVersion` does not hide it: the typed readers say so.
    fn is_read(&self) -> bool {
        let group = self.api_version.split_once('/').map_or("", |(group, _)| group);
        KINDS
            .iter()
            .any(|(kind, groups)| *kind == self.kind && (self.api_version.is_empty() || groups.contains(&group)))
    }
}

impl Bundle {
    /// Reads `inputs`.
    ///
    /// # Errors
    /// Missing file, unreadable or oversized file, broken YAML, an unrendered template (`{{`), an empty folder.
    pub fn load(inputs: &[Input]) -> Result<Self, Diagnostics> {
        let mut bundle = Bundle::default();
        let mut diagnostics = Diagnostics::new();
        for input in inputs {
            bundle.add_input(input, &mut diagnostics);
        }
        diagnostics.into_result(bundle).map(|(bundle, _)| bundle)
    }

    /// The documents of `text`, as though read from a file of the name `file`.
    ///
    /// # Errors
    /// As [`Bundle::load`].
    pub fn from_text(text: &str, file: &str) -> Result<Self, Diagnostics> {
        let mut bundle = Bundle::default();
        let mut diagnostics = Diagnostics::new();
        bundle.add_text(text, file, None, &mut diagnostics);
        diagnostics.into_result(bundle).map(|(bundle, _)| bundle)
    }

    /// As [`Bundle::from_text`], but what is wrong with one document does not hide the others: the documents that can be
    /// read, and the messages about those that cannot.
    pub fn readable(text: &str, file: &str) -> (Self, Diagnostics) {
        let mut bundle = Bundle::default();
        let mut diagnostics = Diagnostics::new();
        bundle.add_text(text, file, None, &mut diagnostics);
        (bundle, diagnostics)
    }

    /// The documents of `kind`, in order.
    pub fn of_kind<'b>(&'b self, kind: &'b str) -> impl Iterator<Item = &'b Document> + 'b {
        self.documents.iter().filter(move |document| document.kind == kind)
    }

    /// The policy that was read as YAML, documents apart by `---`: every kept document but kedasim's own, with the values
    /// they have now (after [`Bundle::set`]). Comments, and documents of kinds that are not read, are left out.
    pub fn policy_text(&self) -> String {
        let policy = self.documents.iter().filter(|document| !document.is_own());
        let texts: Vec<String> = policy.map(|document| emit::emit(&document.root)).collect();
        texts.join("---\n")
    }

    /// As [`Bundle::policy_text`], but kedasim's own documents.
    pub fn own_text(&self) -> String {
        let own = self.documents.iter().filter(|document| document.is_own());
        let texts: Vec<String> = own.map(|document| emit::emit(&document.root)).collect();
        texts.join("---\n")
    }

    fn add_input(&mut self, input: &Input, diagnostics: &mut Diagnostics) {
        let path = match input {
            Input::Stdin => {
                let read = read_text(std::io::stdin().lock(), "<stdin>");
                self.add_source(read, "<stdin>", None, true, diagnostics);
                return;
            }
            Input::Path(path) => path,
        };
        let named = path.display().to_string();
        if !path.is_dir() {
            self.add_source(read_file(path), &named, Some(path), true, diagnostics);
            return;
        }
        let files = match yaml_files(path) {
            Ok(files) => files,
            Err(diagnostic) => return diagnostics.push(diagnostic),
        };
        let before = self.documents.len() + self.skipped.len() + diagnostics.0.len();
        for file in files {
            self.add_source(read_file(&file), &file.display().to_string(), Some(&file), false, diagnostics);
        }
        if self.documents.len() + self.skipped.len() + diagnostics.0.len() == before {
            diagnostics.push(
                Diagnostic::error(Span::new(named, 0, 0), "", "no file of this folder has a YAML document in it")
                    .help("name the file or folder with the ScaledObject"),
            );
        }
    }

    /// One file's text; `needed`: it may not be without documents.
    fn add_source(
        &mut self,
        text: Result<String, Diagnostic>,
        named: &str,
        file: Option<&Path>,
        needed: bool,
        diagnostics: &mut Diagnostics,
    ) {
        match text {
            Err(diagnostic) => diagnostics.push(diagnostic),
            Ok(text) => {
                let before = diagnostics.0.len();
                let count = self.add_text(&text, named, file, diagnostics);
                if needed && count == 0 && diagnostics.0.len() == before {
                    let span = Span::new(named, 1, 1);
                    diagnostics.push(
                        Diagnostic::error(span, "", "there is no YAML document here")
                            .help("give a file with at least one document, such as a ScaledObject"),
                    );
                }
            }
        }
    }

    /// Returns how many documents `text` has.
    fn add_text(&mut self, text: &str, named: &str, file: Option<&Path>, diagnostics: &mut Diagnostics) -> usize {
        let roots = match parse_documents(text, named) {
            Ok(roots) => roots,
            Err(diagnostic) => {
                let line = diagnostic.span.as_ref().map(|span| span.line);
                diagnostics.push(template::in_broken_yaml(text, named, line).unwrap_or(diagnostic));
                return 0;
            }
        };
        let lines = template::lines_of(text);
        let count = roots.len();
        for root in roots {
            self.add_document(root, &lines, file, diagnostics);
        }
        count
    }

    fn add_document(&mut self, root: Node, lines: &[&str], file: Option<&Path>, diagnostics: &mut Diagnostics) {
        if !matches!(root.value, Value::Map(_)) {
            let message =
                format!("found {}, expected a Kubernetes object (a mapping with apiVersion and kind)", root.describe());
            return diagnostics.push(Diagnostic::error(root.span.clone(), "", message));
        }
        let mut document = Document::new(root, file.map(Path::to_owned));
        if document.kind.is_empty() {
            let kind = document.root.get("kind").filter(|kind| !matches!(&kind.value, Value::Null));
            let (span, message) = match kind {
                Some(kind) => (&kind.span, format!("found {}, expected the name of a kind", kind.describe())),
                None => (&document.root.span, "this document has no kind".to_owned()),
            };
            let stem = file.and_then(Path::file_stem).and_then(|stem| stem.to_str()).unwrap_or_default();
            let help = match stem.to_ascii_lowercase().as_str() {
                "kustomization" => "build it first: kustomize build . | kedasim simulate -",
                "chart" | "values" => "render the chart first: helm template . | kedasim simulate -",
                _ if is_signals(&document.root) => {
                    "a file for --signals stands in no folder of a policy: move it, or put it under signals of the Scenario"
                }
                _ => "every document needs apiVersion and kind, such as keda.sh/v1alpha1 and ScaledObject",
            };
            return diagnostics.push(Diagnostic::error(span.clone(), "kind", message).help(help));
        }
        if document.kind == "List" && matches!(document.api_version.as_str(), "v1" | "") {
            return self.add_list(document, lines, file, diagnostics);
        }
        if document.api_version.split('/').next() == Some(OWN_GROUP) && !document.is_own() {
            return diagnostics.push(unknown_own_kind(&document));
        }
        if let Some(diagnostic) = unquoted_name(&mut document, lines) {
            return diagnostics.push(diagnostic);
        }
        if !document.is_read() {
            self.skipped.push(Skipped { kind: document.kind, name: document.name, span: document.root.span });
            return;
        }
        // The alert texts of a PrometheusRule are templates of Prometheus' own.
        if document.kind != "PrometheusRule"
            && let Some(diagnostic) = template::in_tree(&document.root, lines, document.kind == "ScaledObject")
        {
            return diagnostics.push(diagnostic);
        }
        self.documents.push(document);
    }

    /// The items of a `kind: List`, each with its own place.
    fn add_list(&mut self, list: Document, lines: &[&str], file: Option<&Path>, diagnostics: &mut Diagnostics) {
        let Value::Map(entries) = list.root.value else { return };
        let Some((_, items)) = entries.into_iter().find(|(key, _)| key.name == "items") else { return };
        match items.value {
            Value::Null => {}
            Value::Seq(items) => {
                for item in items {
                    self.add_document(item, lines, file, diagnostics);
                }
            }
            _ => {
                let message = format!("found {}, expected a list", items.describe());
                diagnostics.push(Diagnostic::error(items.span, "items", message));
            }
        }
    }
}

/// Names that YAML reads as something else (`on`, `y`, `123`, `1e3`): Kubernetes refuses them, since JSON then has no string
/// there (sigs.k8s.io/yaml, `YAMLToJSON`). An error for a kind that is read; of any other kind the name is kept as written.
fn unquoted_name(document: &mut Document, lines: &[&str]) -> Option<Diagnostic> {
    let metadata = document.root.get("metadata")?;
    for key in ["name", "namespace"] {
        let Some(node) = metadata.get(key) else { continue };
        if !matches!(node.value, Value::Bool(_) | Value::Int(_) | Value::Float(_)) {
            continue;
        }
        let written = written_at(&node.span, lines);
        if document.is_read() {
            let message = format!("found {}, expected a string", node.describe());
            let help = format!("YAML does not read {written} as text: put it in quotes, {key}: {written:?}");
            return Some(Diagnostic::error(node.span.clone(), format!("metadata.{key}"), message).help(help));
        }
        if key == "name" {
            document.name = written;
            return None;
        }
    }
    None
}

/// The plain scalar that starts at `span`.
fn written_at(span: &Span, lines: &[&str]) -> String {
    let place = |number: u32| usize::try_from(number).unwrap_or(usize::MAX).saturating_sub(1);
    let own = lines.get(place(span.line)).copied().unwrap_or_default();
    let rest: String = own.chars().skip(place(span.column)).collect();
    rest.split([',', '}', ']', ' ', '\t']).next().unwrap_or_default().to_owned()
}

/// Whether a document without a kind holds what `--signals` takes.
fn is_signals(root: &Node) -> bool {
    let Value::Map(entries) = &root.value else { return false };
    !entries.is_empty() && entries.iter().all(|(key, _)| matches!(key.name.as_str(), "triggers" | "series"))
}

/// A kind of ours that there is not.
fn unknown_own_kind(document: &Document) -> Diagnostic {
    let own: Vec<&str> =
        KINDS.iter().filter(|(_, groups)| groups.contains(&OWN_GROUP)).map(|(kind, _)| *kind).collect();
    let place = document.root.get("kind").unwrap_or(&document.root).span.clone();
    let message = format!("found the kind {:?} of {OWN_GROUP}, expected one of {}", document.kind, own.join(", "));
    let diagnostic = Diagnostic::error(place, "kind", message);
    match nearest(&document.kind, own.iter().copied()) {
        Some(name) => diagnostic.help(format!("did you mean {name}?")),
        None => diagnostic,
    }
}

/// The YAML and JSON files directly inside `folder`, by name.
pub(super) fn yaml_files(folder: &Path) -> Result<Vec<PathBuf>, Diagnostic> {
    let error = |message: String, help: &str| {
        Diagnostic::error(Span::new(folder.display().to_string(), 0, 0), "", message).help(help)
    };
    let unreadable = |cause: std::io::Error| error(format!("can't read this folder: {cause}"), "check its permissions");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let named = path.extension().is_some_and(|own| ["yaml", "yml", "json"].iter().any(|known| own == *known));
        if named && path.is_file() {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(error(
            "this folder has no *.yaml, *.yml or *.json file directly inside".to_owned(),
            "name the folder with the manifests, folders inside it are not searched",
        ));
    }
    if files.len() > MAX_FILES {
        let message = format!("{} files in this folder, the limit is {MAX_FILES}", files.len());
        return Err(error(message, "name the files that matter"));
    }
    files.sort();
    Ok(files)
}

fn read_file(path: &Path) -> Result<String, Diagnostic> {
    let named = path.display().to_string();
    text_of(read_bytes(open(path)?, &named)?, &named)
}

/// Opens a file for reading.
pub(super) fn open(path: &Path) -> Result<std::fs::File, Diagnostic> {
    std::fs::File::open(path).map_err(|cause| {
        let (message, help) = match cause.kind() {
            std::io::ErrorKind::NotFound => ("there is no such file or folder".to_owned(), "check the path"),
            _ => (format!("can't read this file: {cause}"), "check its permissions"),
        };
        Diagnostic::error(Span::new(path.display().to_string(), 0, 0), "", message).help(help)
    })
}

fn read_text(source: impl Read, named: &str) -> Result<String, Diagnostic> {
    text_of(read_bytes(source, named)?, named)
}

/// Reads at most one byte more than is allowed, so that an endless pipe ends too.
pub(super) fn read_bytes(source: impl Read, named: &str) -> Result<Vec<u8>, Diagnostic> {
    let mut bytes = Vec::new();
    let limit = yaml::MAX_BYTES as u64 + 1;
    let read = source.take(limit).read_to_end(&mut bytes);
    read.map_err(|cause| Diagnostic::error(Span::new(named, 0, 0), "", format!("can't read this: {cause}")))?;
    Ok(bytes)
}

/// What was read as text, unless it is too long or none.
pub(super) fn text_of(bytes: Vec<u8>, named: &str) -> Result<String, Diagnostic> {
    if bytes.len() > yaml::MAX_BYTES {
        let message = "larger than 1 MiB, the limit for YAML files";
        return Err(Diagnostic::error(Span::new(named, 0, 0), "", message).help("split the file"));
    }
    String::from_utf8(bytes).map_err(|cause| {
        let good = cause.utf8_error().valid_up_to();
        let start = String::from_utf8_lossy(&cause.as_bytes()[..good]);
        let line = start.matches('\n').count() + 1;
        let column = start.chars().rev().take_while(|character| *character != '\n').count() + 1;
        let number = |place: usize| u32::try_from(place).unwrap_or(u32::MAX);
        Diagnostic::error(
            Span::new(named, number(line), number(column)),
            "",
            "not text: a byte that is not UTF-8, expected a YAML file",
        )
        .help("save it as UTF-8, or name another file")
    })
}

#[cfg(test)]
#[path = "bundle_tests.rs"]
mod tests;
