import Foundation
import Testing

/// Files under `Golden/`, and documents that are made: what was reviewed, and what a test compares with.
public enum Golden {
    /// Compares text with a file, or writes it when `POSTERN_GOLDEN=write`.
    public static func expect(
        _ name: String, _ text: String, in folder: String = "Golden", sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let url = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("\(folder)/\(name)")
        if ProcessInfo.processInfo.environment["POSTERN_GOLDEN"] == "write" {
            try FileManager.default.createDirectory(
                at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: url)
            return
        }
        let stored = (try? String(contentsOf: url, encoding: .utf8)) ?? ""
        let (old, new) = (Set(stored.split(separator: "\n")), Set(text.split(separator: "\n")))
        let difference =
            old.subtracting(new).sorted().map { "- \($0)" } + new.subtracting(old).sorted().map { "+ \($0)" }
        #expect(
            stored == text,
            """
            \(folder)/\(name) differs:
            \(difference.joined(separator: "\n"))
            If this is meant, write it again with: POSTERN_GOLDEN=write swift test
            """, sourceLocation: sourceLocation)
    }
}
