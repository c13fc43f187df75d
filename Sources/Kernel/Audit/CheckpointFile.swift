import Foundation

/// `checkpoints.log`: every checkpoint ever served, outside the database, so that a database set back to an older state
/// is noticed.
///
/// One JSON object a line: `{"note": …}` for a checkpoint, `{"succession": …}` for the record that opened a successor
/// log. A line is written whole and synced before what it says is served; a torn last line was therefore never served
/// and is dropped.
public struct CheckpointFile: Sendable {
    public enum Record: Sendable, Hashable {
        case checkpoint(String)
        case succession(String)
    }

    public let path: String
    public init(path: String) { self.path = path }

    /// Appends a record and returns when it is on disk.
    public func append(_ record: Record) throws {
        let isNew = access(path, F_OK) != 0
        let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw failure("can't be opened") }
        defer { close(file) }
        let end = try wholeLength(file)
        guard ftruncate(file, end) == 0, lseek(file, end, SEEK_SET) == end else { throw failure("can't be written") }
        let json: JSON =
            switch record {
            case .checkpoint(let note): ["note": .string(note)]
            case .succession(let note): ["succession": .string(note)]
            }
        let line = json.canonical + [0x0A]
        guard write(file, line, line.count) == line.count, fsync(file) == 0 else { throw failure("can't be written") }
        if isNew { try syncFolder() }
    }

    /// Calls `body` for every whole record with its line number from 1. A file that is not there has none.
    public func readAll(_ body: (_ line: Int, _ record: Record) throws -> Void) throws {
        guard access(path, F_OK) == 0 else { return }
        guard let file = FileHandle(forReadingAtPath: path) else { throw failure("can't be read") }
        defer { try? file.close() }
        var rest = Data()
        var line = 0
        while let chunk = try file.read(upToCount: 1 << 20), !chunk.isEmpty {
            rest.append(chunk)
            while let end = rest.firstIndex(of: 0x0A) {
                line += 1
                try body(line, try Self.record(Array(rest[..<end]), line, path))
                rest = rest[(end + 1)...]
            }
            rest = Data(rest)
        }
    }

    /// The records of the last 256 KiB, oldest first: enough to know the newest checkpoint at start.
    public func tail() throws -> [Record] {
        guard access(path, F_OK) == 0 else { return [] }
        guard let file = FileHandle(forReadingAtPath: path) else { throw failure("can't be read") }
        defer { try? file.close() }
        let length = try file.seekToEnd()
        let start = length > 262_144 ? length - 262_144 : 0
        try file.seek(toOffset: start)
        let bytes = [UInt8](try file.readToEnd() ?? Data())
        var lines = bytes.split(separator: 0x0A, omittingEmptySubsequences: false)
        // After the last newline stands nothing, or a torn record.
        lines.removeLast()
        if start > 0, !lines.isEmpty { lines.removeFirst() }
        return try lines.enumerated().map { try Self.record(Array($1), $0 + 1, path) }
    }

    private static func record(_ bytes: [UInt8], _ line: Int, _ path: String) throws -> Record {
        let json = try? JSON(parsing: bytes)
        if let note = json?["note"]?.string { return .checkpoint(note) }
        if let note = json?["succession"]?.string { return .succession(note) }
        throw LogDamage("Line \(line) of \(path) is damaged. Restore the file from a copy, and run postern verify.")
    }

    /// Where the last whole record ends.
    private func wholeLength(_ file: Int32) throws -> Int {
        var end = lseek(file, 0, SEEK_END)
        var byte: UInt8 = 0
        while end > 0 {
            guard pread(file, &byte, 1, end - 1) == 1 else { throw failure("can't be read") }
            if byte == 0x0A { break }
            end -= 1
        }
        return end
    }

    private func syncFolder() throws {
        let folder = (path as NSString).deletingLastPathComponent
        let handle = open(folder.isEmpty ? "." : folder, O_RDONLY | O_CLOEXEC)
        guard handle >= 0 else { throw failure("can't be synced") }
        defer { close(handle) }
        guard fsync(handle) == 0 else { throw failure("can't be synced") }
    }

    private func failure(_ what: String) -> LogDamage {
        LogDamage("The checkpoint file \(path) \(what): \(String(cString: strerror(errno))).")
    }
}
