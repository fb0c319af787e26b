(component
  (core module (func))
  (@custom "padding" "x")
  (@custom "ringfence:manifest" "{\22name\22:\22a\22,\22version\22:\221.0.0\22,\22description\22:\22d\22}")
  (@custom "ringfence:tools" "{\22tools\22:[{\22name\22:\22t\22,\22description\22:\22d\22,\22input-schema\22:{\22type\22:\22object\22}}]}"))