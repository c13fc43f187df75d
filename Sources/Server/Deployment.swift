import CommandLine
import Consoles
import Foundation
import HTML
import Kernel
import Store
import StorePostgres
import Web

/// One deployment by its configuration: which database, which keys.
struct Deployment: Sendable {
    /// What does not depend on which server runs it: names, fields, permissions.
    static let catalog = Catalog(Consoles.all)
    /// The demo's log is named so; nothing else may be.
    static let demoOrigin = "demo.postern.example/log"
    /// A demo's log or a successor of one.
    static func isDemoOrigin(_ name: String) -> Bool { name.hasPrefix("demo.postern.example/") }

    let configuration: Configuration

    /// Reads the environment and the settings file.
    static func load(environment: [String: String]) throws(CommandFailure) -> Deployment {
        let file = try SettingsFile.load(environment: environment)
        let configuration = try Configuration(environment: environment, file: file) { path throws(CommandFailure) in
            guard let text = try PrivateFile.read(path) else {
                throw CommandFailure(.usage, "there is no file \(path).")
            }
            return text
        }
        guard configuration.value("environment") == "demo" else { return Deployment(configuration: configuration) }
        return Deployment(configuration: configuration.defaulting(demoDefaults))
    }

    static let demoDefaults = [
        "environment": "demo", "data": "./var/demo", "log_origin": demoOrigin, "log_level": "warning",
        "stop_seconds": "1",
    ]

    var environment: String { configuration.value("environment") }
    var isDemo: Bool { environment == "demo" }

    /// How people reach the console.
    var staffURL: String {
        let scheme = configuration.text("tls_certificate") == nil ? "http" : "https"
        return configuration.url("staff_url") ?? "\(scheme)://localhost:\(configuration.port("staff_port"))"
    }

    /// Where the database is; a relative SQLite path is relative to the working directory. Where only the owner's URL is
    /// given, it is the database that one names.
    var storage: Storage {
        isLedByOwner ? ownerStorage : Storage(url: configuration.value("database_url"))
    }
    /// Why the console must not be served at its address outside the demo; `nil` when it may.
    var insecureStaffURL: String? {
        guard !isDemo, !WebConfiguration(staffURL: staffURL).usesSecureCookies else { return nil }
        return """
            staff_url is \(staffURL): over plain HTTP passwords and sessions would be open to the network, and browsers keep no \
            secure cookie.
            Let POSTERN_STAFF_URL begin with https://, and either set tls_certificate and tls_key or put a proxy that ends TLS \
            before it. On this machine alone, http://localhost:\(configuration.port("staff_port")) will do.
            """
    }

    /// True when nothing but the owner's URL says where the database is.
    var isLedByOwner: Bool {
        configuration.entry("database_url")?.origin == .fallback && configuration.text("migrate_database_url") != nil
    }
    /// The owner's door, for migrations.
    var ownerStorage: Storage {
        Storage(url: configuration.text("migrate_database_url") ?? configuration.value("database_url"))
    }

    /// The password of the role that `postern migrate` makes on PostgreSQL.
    var rolePasswordFile: String { configuration.value("data") + "/keys/database.password" }
}
