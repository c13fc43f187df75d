import CommandLine
import Foundation
import Kernel

/// The deployment's own secrets, each in a file of mode 0600 outside the database or printed by a command.
struct SecretKeys: Sendable {
    let log: LogKey
    let master: MasterKey
    /// 32 bytes that are in no database; everything derived from them is worthless to who has only that.
    let pepper: [UInt8]

    /// A key for one purpose, the same on all servers that share the pepper.
    func derived(_ purpose: String) -> [UInt8] { sha256(Array("postern:\(purpose):".utf8) + pepper) }

    /// The first 8 hexadecimal digits of a digest; safe to show.
    var pepperFingerprint: String { String(sha256(Array("postern-pepper:".utf8) + pepper).hex.prefix(8)) }

    /// Where one of them comes from.
    enum Place {
        case file(String)
        case command(String, setting: String)

        /// - Parameter key: `log_key`, `master_key` or `pepper`.
        init(_ key: String, _ configuration: Configuration) {
            let setting = "\(key)_command"
            self =
                configuration.text(setting).map { .command($0, setting: setting) }
                ?? .file(configuration.value("\(key)_file"))
        }

        /// The text, or `nil` when there is no such file.
        func read() throws(CommandFailure) -> String? {
            switch self {
            case .file(let path): try PrivateFile.read(path)
            case .command(let command, let setting): try SecretCommand.output(of: command, setting: setting)
            }
        }

        /// What sentences call it.
        var name: String {
            switch self {
            case .file(let path): path
            case .command(_, let setting): "what \(setting) prints"
            }
        }
    }

    /// Reads all three.
    /// - Parameter makesMissing: makes files that are not there: for a database that has nothing signed or sealed yet.
    /// - Throws: `.usage` naming the file or the command and what to do.
    static func load(_ configuration: Configuration, makesMissing: Bool) throws(CommandFailure) -> SecretKeys {
        do {
            let master = try text(of: Place("master_key", configuration), makesMissing: makesMissing, "the master key")
            {
                MasterKey.generate()
            }
            let place = Place("pepper", configuration)
            let pepper = try text(of: place, makesMissing: makesMissing, "the pepper") {
                Base64.encode(SecureRandom.bytes(32)) + "\n"
            }
            guard let bytes = Base64.decode(pepper.trimmingCharacters(in: .whitespacesAndNewlines)), bytes.count >= 32
            else {
                throw CommandFailure(.usage, "The pepper, \(place.name), must be at least 32 bytes in base 64.")
            }
            return SecretKeys(
                log: try logKey(configuration, makesMissing: makesMissing),
                master: try MasterKey(parsing: master), pepper: bytes)
        } catch let failure as CommandFailure {
            throw failure
        } catch {
            throw CommandFailure(.usage, "\(error)")
        }
    }

    private static func logKey(_ configuration: Configuration, makesMissing: Bool) throws -> LogKey {
        let place = Place("log_key", configuration)
        let origin = configuration.text("log_origin")
        if let text = try place.read() {
            let key = try LogKey(parsing: text)
            if let origin, key.name != origin {
                throw CommandFailure(
                    .usage,
                    """
                    The log key, \(place.name), is the one of the log \(key.name), but log_origin is \(origin). Set it back, or open \
                    a successor log with: postern audit successor
                    """)
            }
            return key
        }
        guard case .file(let path) = place else { throw missing("the log's key", place) }
        guard makesMissing else { throw missing("the log's key", place) }
        guard let origin else { throw missingOrigin }
        try PrivateFile.makeDirectory((path as NSString).deletingLastPathComponent)
        return try LogKey.loadOrMake(path: path, name: origin)
    }

    static let missingOrigin = CommandFailure(
        .usage, "Set POSTERN_LOG_ORIGIN, the log's name, such as console.example.com/log. It is never changed later.")

    static let otherMaster = CommandFailure(
        .refused,
        """
        The master key is not this database's: it does not open what is sealed there, so no password and no code would be right. \
        Let master_key_file or master_key_command give the key that was used so far, or restore it from your backup of the keys.
        """)

    /// True when neither the setting nor a key says what the log is called.
    static func lacksOrigin(_ configuration: Configuration) throws(CommandFailure) -> Bool {
        guard configuration.text("log_origin") == nil, case .file(let path) = Place("log_key", configuration) else {
            return false
        }
        return try PrivateFile.read(path) == nil
    }

    private static func text(
        of place: Place, makesMissing: Bool, _ what: String, make: () -> String
    ) throws(CommandFailure) -> String {
        if let text = try place.read() { return text }
        guard makesMissing, case .file(let path) = place else { throw missing(what, place) }
        let text = make()
        try PrivateFile.write(text, to: path)
        return text
    }

    private static func missing(_ what: String, _ place: Place) -> CommandFailure {
        CommandFailure(
            .usage,
            """
            There is no file \(place.name) with \(what). postern migrate makes it for a new database; for one that is in use, \
            restore it from your backup or point its setting to where it is.
            """)
    }
}
