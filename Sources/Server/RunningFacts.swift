import CommandLine
import Consoles
import Kernel

extension InstallationFacts {
    /// What the console says of this server: the same table and the same checks as `postern doctor`.
    init(_ deployment: Deployment, _ storage: Storage, _ keys: SecretKeys) {
        self.init()
        let configuration = deployment.configuration
        version = PosternCommand.version
        environment = deployment.environment
        database = storage.description
        consoleURL = deployment.staffURL
        self.keys = [
            Key("Log key", fingerprint: keys.log.verifier.text),
            Key("Master key", fingerprint: keys.master.fingerprint),
            Key("Pepper", fingerprint: keys.pepperFingerprint),
        ]
        retention = (try? RetentionPeriods(configuration.text("retention") ?? "")) ?? RetentionPeriods()
        groups = Setting.groups.map { title, keys in
            Group(
                title,
                keys.compactMap { Setting.byKey[$0] }.map { setting in
                    let entry = configuration.entry(setting.key)
                    return Entry(
                        key: setting.key, variable: setting.variable,
                        value: entry.map { Doctor.shown(setting, $0) },
                        origin: entry.map { $0.source ?? "default" } ?? "", summary: setting.summary)
                })
        }
        warnings = { now in
            var report = Doctor.Report()
            Doctor.names(deployment, &report)
            Doctor.files(configuration, &report)
            Doctor.alerts(deployment, &report)
            Doctor.clock(now, &report)
            return report.findings.filter { $0.level != .ok }
        }
    }
}
