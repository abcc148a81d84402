//! What the containers of a pod ask for and may use, as written: cpu and memory, the base of utilization.

use crate::manifest::fields::quantity_of;
use crate::manifest::{Fields, Node, Value};
use crate::units::{Diagnostics, Located, Quantity};

/// Cpu (cores) and memory (bytes) of one container.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ContainerResources {
    /// `name`, "" when absent.
    pub name: String,
    /// `resources.requests.cpu`; the limit when only that is written, as the API server defaults it (Kubernetes
    /// `pkg/apis/core/v1/defaults.go`, `SetDefaults_Pod`).
    pub cpu_request: Option<Located<Quantity>>,
    /// `resources.requests.memory`; the limit when only that is written.
    pub memory_request: Option<Located<Quantity>>,
    /// `resources.limits.cpu`.
    pub cpu_limit: Option<Located<Quantity>>,
    /// `resources.limits.memory`.
    pub memory_limit: Option<Located<Quantity>>,
    /// Which of `cpu` and `memory` nobody wrote a request for, so that one of the platform stands in. Empty as read here:
    /// whoever knows the platform fills it, and whoever uses such a request says that it is assumed.
    pub assumed: Vec<&'static str>,
}

impl ContainerResources {
    /// From a container; what is mistyped is an error and absent.
    pub(crate) fn read(node: &Node, path: &str, diagnostics: &mut Diagnostics) -> Self {
        let name = node.get("name").and_then(Node::as_str).unwrap_or_default().to_owned();
        let mut own = ContainerResources { name, ..ContainerResources::default() };
        let Some(resources) = node.get("resources").filter(|own| matches!(own.value, Value::Map(_))) else {
            return own;
        };
        let mut read = |section: &str, key: &str| {
            let found = resources.get(section)?.get(key).filter(|node| node.value != Value::Null)?;
            quantity_of(found, &format!("{path}.resources.{section}.{key}"), diagnostics)
        };
        own.cpu_limit = read("limits", "cpu");
        own.memory_limit = read("limits", "memory");
        own.cpu_request = read("requests", "cpu");
        own.memory_request = read("requests", "memory");
        own
    }

    /// A limit stands in for a request that is not written.
    pub(crate) fn defaulted(mut self) -> Self {
        self.cpu_request = self.cpu_request.or_else(|| self.cpu_limit.clone());
        self.memory_request = self.memory_request.or_else(|| self.memory_limit.clone());
        self
    }

    /// Of every container of a pod's spec.
    pub(crate) fn of_pod(pod: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Vec<Self> {
        let containers = match pod.node("containers").map(|node| &node.value) {
            Some(Value::Seq(items)) => items.as_slice(),
            _ => &[],
        };
        let path = pod.path_of("containers");
        let read = |(index, node)| Self::read(node, &format!("{path}[{index}]"), diagnostics);
        containers.iter().enumerate().map(read).collect()
    }
}
