"""Files on object storage and on the web: runs and bundles at s3:// and gs://, and local copies of what others read.

Rasters are read where they lie, in parts, by GDAL (`geodl.data.remote`). All else comes and goes whole.
"""

from geodl.storage.address import is_address
from geodl.storage.cached import fetched, fetched_folder, working_folder
from geodl.storage.folder import Storage

__all__ = ("Storage", "fetched", "fetched_folder", "is_address", "working_folder")
