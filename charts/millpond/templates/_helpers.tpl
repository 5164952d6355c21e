{{/* Of every object; names are fixed, because a cluster has one Millpond. */}}
{{- define "millpond.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/name: millpond
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: millpond
{{- end }}

{{/* By these the pods of a workload are found. Takes (dict "root" $ "component" "operator"). */}}
{{- define "millpond.selector" -}}
app.kubernetes.io/name: millpond
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "millpond.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* What the level "restricted" of the Pod Security Standards asks for. */}}
{{- define "millpond.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "millpond.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* Labels of a workload's pods. Takes (dict "root" $ "component" "router" "values" .Values.router). */}}
{{- define "millpond.podMetadata" -}}
labels:
  {{- include "millpond.selector" . | nindent 2 }}
  app.kubernetes.io/part-of: millpond
  {{- with .values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .values.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Where a workload's pods go. */}}
{{- define "millpond.placement" -}}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* What the operator may do where apps are: in the whole cluster, or in each of `watchNamespaces`. */}}
{{- define "millpond.appRules" -}}
# Specs belong to people: the operator writes what it sees, and makes editions.
- apiGroups: [millpond.dev]
  resources: [elasticapps, editions]
  verbs: [get, list, watch]
- apiGroups: [millpond.dev]
  resources: [elasticapps/status, editions/status]
  verbs: [get, patch]
- apiGroups: [millpond.dev]
  resources: [editions]
  verbs: [create, delete]
# To name an ElasticApp or Edition as the owner that blocks, where OwnerReferencesPermissionEnforcement is on.
- apiGroups: [millpond.dev]
  resources: [elasticapps/finalizers, editions/finalizers]
  verbs: [update]
- apiGroups: [apps]
  resources: [replicasets]
  verbs: [get, list, watch, create, patch]
# No create: servers are made by ReplicaSets.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, patch]
# The readiness gate.
- apiGroups: [""]
  resources: [pods/status]
  verbs: [patch]
- apiGroups: ["", events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}

{{/* Names of the Secrets with the routers' certificates, as a JSON array. */}}
{{- define "millpond.tlsSecrets" -}}
{{- $names := .Values.router.tls.secrets }}
{{- range .Values.router.tls.certificates }}
{{- $names = append $names .secretName }}
{{- end }}
{{- uniq $names | toJson }}
{{- end }}
