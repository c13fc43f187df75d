import Foundation
import CPQ
