# escape=`
FROM mcr.microsoft.com/windows/nanoserver:ltsc2022 AS base
WORKDIR C:\
RUN dir `
  C:\
FROM base
COPY --from=tools:`
1 C:\x C:\y
