import Foundation
import Kernel

/// Tokens kept between commands: `~/.config/postern/credentials`, one a server, readable by its owner only.
public struct CredentialFile: Sendable {
    public struct Entry: Sendable, Equatable {
        public let token: String
        public let email: String
        public let expiresAt: String
    }

    public let path: String

    public init(environment: [String: String]) {
        let home =
            environment["XDG_CONFIG_HOME"].flatMap { $0.isEmpty ? nil : $0 } ?? "\(environment["HOME"] ?? ".")/.config"
        path = home + "/postern/credentials"
    }

    public func entry(for server: String) throws(CommandFailure) -> Entry? {
        guard let entry = try all()[server], let token = entry["token"]?.string else { return nil }
        return Entry(token: token, email: entry["email"]?.string ?? "", expiresAt: entry["expires_at"]?.string ?? "")
    }

    /// Sets or (with `nil`) forgets the entry of a server.
    public func set(_ entry: Entry?, for server: String) throws(CommandFailure) {
        var entries = try all()
        entries[server] = entry.map {
            ["token": .string($0.token), "email": .string($0.email), "expires_at": .string($0.expiresAt)]
        }
        try PrivateFile.write(JSON.object(entries).pretty() + "\n", to: path)
    }

    private func all() throws(CommandFailure) -> [String: JSON] {
        guard let text = try PrivateFile.read(path) else { return [:] }
        guard let entries = (try? JSON(parsing: text))?.object else {
            throw CommandFailure(.usage, "\(path) is not a credentials file. Move it away and run: postern login")
        }
        return entries
    }
}

/// Files that only their owner may read.
public enum PrivateFile {
    /// The text, or `nil` when there is no such file. A file that others may read is refused.
    public static func read(_ path: String) throws(CommandFailure) -> String? {
        var status = stat()
        guard stat(path, &status) == 0 else {
            if errno == ENOENT { return nil }
            throw failure("can't be read", path)
        }
        guard status.st_mode & 0o077 == 0 else {
            let mode = String(status.st_mode & 0o777, radix: 8)
            throw CommandFailure(.usage, "\(path) has mode \(mode), so others may read it. Run: chmod 600 \(path)")
        }
        guard let data = FileManager.default.contents(atPath: path) else { throw failure("can't be read", path) }
        guard let text = String(validating: data, as: UTF8.self) else {
            throw CommandFailure(.usage, "\(path) is not text.")
        }
        return text
    }

    /// Replaces the file whole, with mode 0600; directories that are missing are made with mode 0700.
    public static func write(_ text: String, to path: String) throws(CommandFailure) {
        try makeDirectory((path as NSString).deletingLastPathComponent)
        let temporary = "\(path).\(SecureRandom.bytes(6).hex)"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure("can't be written", path) }
        let bytes = Array(text.utf8)
        let isWritten = bytes.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) } == bytes.count
        let isSynced = fsync(descriptor) == 0
        close(descriptor)
        guard isWritten, isSynced, rename(temporary, path) == 0 else {
            let failure = failure("can't be written", path)
            unlink(temporary)
            throw failure
        }
    }

    public static func makeDirectory(_ path: String) throws(CommandFailure) {
        guard !path.isEmpty else { return }
        do {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw CommandFailure(.usage, "The directory \(path) can't be made: \(error.localizedDescription)")
        }
    }

    private static func failure(_ what: String, _ path: String) -> CommandFailure {
        CommandFailure(.usage, "\(path) \(what): \(String(cString: strerror(errno))).")
    }
}
