import CommandLine
import Foundation
import Kernel

/// The deployment's own secrets, each in a file of mode 0600 outside the database.
struct SecretKeys: Sendable {
    let log: LogKey
    let master: MasterKey
    /// 32 bytes that are in no database; everything derived from them is worthless to who has only that.
    let pepper: [UInt8]

    /// A key for one purpose, the same on all servers that share the pepper file.
    func derived(_ purpose: String) -> [UInt8] { sha256(Array("postern:\(purpose):".utf8) + pepper) }

    /// Reads the three files.
    /// - Parameter makesMissing: makes what is not there: for a database that has nothing signed or sealed yet.
    /// - Throws: `.usage` naming the file and what to do.
    static func load(_ configuration: Configuration, makesMissing: Bool) throws(CommandFailure) -> SecretKeys {
        let paths = (
            log: configuration.value("log_key_file"), master: configuration.value("master_key_file"),
            pepper: configuration.value("pepper_file")
        )
        do {
            let master = try text(of: paths.master, makesMissing: makesMissing, "the master key") {
                MasterKey.generate()
            }
            let pepper = try text(of: paths.pepper, makesMissing: makesMissing, "the pepper") {
                Base64.encode(SecureRandom.bytes(32)) + "\n"
            }
            guard let bytes = Base64.decode(pepper.trimmingCharacters(in: .whitespacesAndNewlines)), bytes.count >= 32
            else {
                throw CommandFailure(.usage, "\(paths.pepper) must hold at least 32 bytes in base 64.")
            }
            return SecretKeys(
                log: try logKey(configuration, at: paths.log, makesMissing: makesMissing),
                master: try MasterKey(parsing: master), pepper: bytes)
        } catch let failure as CommandFailure {
            throw failure
        } catch {
            throw CommandFailure(.usage, "\(error)")
        }
    }

    private static func logKey(_ configuration: Configuration, at path: String, makesMissing: Bool) throws -> LogKey {
        if let key = try LogKey.load(path: path) {
            if let origin = configuration.text("log_origin"), key.name != origin {
                throw CommandFailure(
                    .usage,
                    """
                    \(path) is the key of the log \(key.name), but log_origin is \(origin). Set it back, or open a successor log \
                    with: postern audit successor
                    """)
            }
            return key
        }
        guard makesMissing else { throw missing("the log's key", path) }
        guard let origin = configuration.text("log_origin") else {
            throw missingOrigin
        }
        try PrivateFile.makeDirectory((path as NSString).deletingLastPathComponent)
        return try LogKey.loadOrMake(path: path, name: origin)
    }

    static let missingOrigin = CommandFailure(
        .usage, "Set POSTERN_LOG_ORIGIN, the log's name, such as console.example.com/log. It is never changed later.")

    private static func text(
        of path: String, makesMissing: Bool, _ what: String, make: () -> String
    ) throws(CommandFailure) -> String {
        if let text = try PrivateFile.read(path) { return text }
        guard makesMissing else { throw missing(what, path) }
        let text = make()
        try PrivateFile.write(text, to: path)
        return text
    }

    private static func missing(_ what: String, _ path: String) -> CommandFailure {
        CommandFailure(
            .usage,
            """
            There is no file \(path) with \(what). postern migrate makes it for a new database; for one that is in use, restore \
            it from your backup or point its setting to where it is.
            """)
    }
}
